"""Secrets in stack files: refused is what Pulumi cannot decrypt, and what everybody can."""

import base64
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.creating import NotAllowedError, create
from settings.encrypted import PASSPHRASE, is_everybodys
from settings.loader import ENCRYPTED, from_config, read_stack_file
from settings.problems import StackFileError
from tests.unit.operations.steps import run
from tools.toolchain.shell import SALT

PLANTED = "hf_" + "planted0123456789" * 2

OURS = "v1:oyKaUsgzu2E=:v1:NXIDMDm/Yc59gQD2:ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
"""A salt of some other passphrase."""

WITH_KEY: Mapping[str, Mapping[str, str]] = {
    "documented passphrase": {"encryptionsalt": SALT},
    "own passphrase": {"encryptionsalt": OURS},
    "key of a cloud": {
        "secretsprovider": "awskms://alias/dynamo?region=us-east-1",
        "encryptedkey": "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo=",
    },
    "Pulumi Cloud": {},
}


def ciphertext(nonce: int = 12, content: int = 40) -> str:
    return f"v1:{base64.b64encode(bytes(nonce)).decode()}:{base64.b64encode(bytes(content)).decode()}"


def cloud(size: int = 60) -> str:
    return base64.b64encode(b"\0\0\1" + bytes(size)).decode()


GARBAGE: Mapping[str, Any] = {
    "a token in clear": PLANTED,
    "another token in clear": "sk-" + "Planted0123456789" * 2,
    "a password": "correct horse battery staple",
    "nothing": "",
    "a space": " ",
    "a word": "garbage",
    "a token in base64": base64.b64encode(b"hf_short").decode(),
    "one part": "v1:abc",
    "short parts": "v1:abc:def",
    "no base64": "v1:AAAA!AAAAAAAAAA==:AAAAAAAAAAAAAAAAAAAAAAAA",
    "a short nonce": ciphertext(nonce=11),
    "a long nonce": ciphertext(nonce=13),
    "no content": ciphertext(content=0),
    "a cut tag": ciphertext(content=15),
    "another version": ciphertext().replace("v1", "v2"),
    "a line after it": f"{ciphertext()}\n{PLANTED}",
    "a token after it": f"{ciphertext()}:{PLANTED}",
    "a number": 12,
    "null": None,
    "a list": [PLANTED],
    "a mapping": {"secure": PLANTED},
}


def write(folder: Path, target: str, token: Any, keys: Mapping[str, str]) -> Path:
    """Write the file of the stack `secretive`; its target is of this kind."""
    targets = {
        "local": {"kind": "local"},
        "hosts": {
            "kind": "hosts",
            "device": "cpu",
            "inventory": [{"name": f"gpu-{n}", "address": f"10.0.0.1{n}"} for n in (1, 2)],
        },
        "aws": {"kind": "aws", "instanceType": "p5.48xlarge", "adminRanges": ["203.0.113.7/32"]},
    }
    config = {
        "aws:region": "us-east-1",
        "dynamo:target": targets[target],
        "dynamo:engine": "mocker",
        "dynamo:pattern": "agg",
        "dynamo:model": {"name": "tiny", "source": "generated"},
        "dynamo:roles": {"aggregated": {"replicas": 2}},
    }
    if token is not None:
        config["dynamo:huggingFaceToken"] = token
    path = folder / "stacks/Pulumi.secretive.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(yaml.safe_dump({**keys, "config": config}))
    return path


@pytest.mark.parametrize(
    ("garbage", "key"),
    [
        (garbage, key)
        for garbage, text in GARBAGE.items()
        for key in WITH_KEY
        if key != "Pulumi Cloud" or not re.fullmatch("v1(:[A-Za-z0-9+/=]+){1,2}", str(text))
    ],
)
def test_what_pulumi_did_not_encrypt_is_refused_and_not_shown(tmp_path: Path, key: str, garbage: str) -> None:
    path = write(tmp_path, "local", {"secure": GARBAGE[garbage]}, WITH_KEY[key])
    with pytest.raises(StackFileError) as refused:
        read_stack_file(path)
    [problem] = refused.value.problems
    assert problem.key == "huggingFaceToken"
    message = refused.value.of("secretive")
    assert "run `scripts/secret secretive huggingFaceToken`" in message
    assert "lanted" not in message
    assert "horse" not in message


@pytest.mark.parametrize("target", ["local", "hosts", "aws"])
@pytest.mark.parametrize("key", ["own passphrase", "key of a cloud", "Pulumi Cloud"])
def test_what_pulumi_encrypts_is_taken(
    tmp_path: Path, target: str, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = cloud() if key == "Pulumi Cloud" else ciphertext()
    assert (
        read_stack_file(write(tmp_path, target, {"secure": text}, WITH_KEY[key])).hugging_face_token
        == ENCRYPTED
    )
    monkeypatch.chdir(tmp_path)
    assert run("plan", "secretive") == 0


def test_the_key_of_another_kind_does_not_open_it(tmp_path: Path) -> None:
    for text, key in (
        (cloud(), "own passphrase"),
        (cloud(), "key of a cloud"),
    ):
        with pytest.raises(StackFileError, match="run `scripts/secret"):
            read_stack_file(write(tmp_path, "aws", {"secure": text}, WITH_KEY[key]))


def encrypted(text: str) -> str:
    """Return what Pulumi makes of a text with the documented passphrase and the shipped files' salt."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    from settings.encrypted import _documented_key

    nonce = b"0123456789ab"
    content = AESGCM(_documented_key(SALT) or b"").encrypt(nonce, text.encode(), None)
    return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(content).decode()}"


BY_PULUMI = "v1:06jYPPSV1u5ySqMW:CYqH6Sc9CXWFPJdHixw7qgJVnTjI2zXcEjjrldcNKvatNa8v"
"""Made by Pulumi 3.259 of a planted text, with documented passphrase and the salt of the shipped files."""

UNUSABLE: Mapping[str, Callable[[], str]] = {
    "changed": lambda: BY_PULUMI.replace("CYqH", "CYqI"),
    "of another stack": ciphertext,
    "empty": lambda: encrypted(""),
    "two words": lambda: encrypted("hf_a hf_b"),
    "with a line break": lambda: encrypted(f"{PLANTED}\n{PLANTED}"),
    "with letters that no header takes": lambda: encrypted("hf_ünï"),
}


@pytest.mark.parametrize("made", UNUSABLE.values(), ids=UNUSABLE)
def test_a_token_that_could_not_be_used_is_refused_where_it_can_be_decrypted(
    tmp_path: Path, made: Callable[[], str]
) -> None:
    with pytest.raises(StackFileError, match="run `scripts/secret STACK huggingFaceToken`") as refused:
        read_stack_file(write(tmp_path, "local", {"secure": made()}, WITH_KEY["documented passphrase"]))
    assert "planted" not in str(refused.value)


@pytest.mark.parametrize("value", ["", " ", "a b", f"{PLANTED}\n", f"{PLANTED}\t", "hf_ü", "\x00"])
def test_a_token_that_could_not_be_used_is_refused_by_the_program_too(value: str) -> None:
    config = {"dynamo:target": '{"kind":"local"}', "dynamo:huggingFaceToken": value}
    with pytest.raises(StackFileError) as refused:
        from_config(config, ["dynamo:huggingFaceToken"])
    assert "huggingFaceToken" in {problem.key for problem in refused.value.problems}
    assert "planted" not in str(refused.value)


def test_whose_passphrase_a_salt_is_of_is_told_by_the_salt() -> None:
    assert is_everybodys({"encryptionsalt": SALT})
    for other in (OURS, "", "v1", "v1::", f"{SALT}x", SALT.replace("3UIM", "4UIM"), 7, None):
        assert not is_everybodys({"encryptionsalt": other})
    assert not is_everybodys({"encryptionsalt": SALT, "secretsprovider": "awskms://k"})


EXPOSED: Mapping[str, tuple[str, bool, bool]] = {
    "local": ("local", False, False),
    "local with a token": ("local", True, False),
    "hosts, such as the lab's": ("hosts", False, False),
    "hosts with a token": ("hosts", True, True),
    "aws, which keeps keys in its state": ("aws", False, True),
    "aws with a token": ("aws", True, True),
}


@pytest.mark.parametrize(("target", "token", "open_to_all"), EXPOSED.values(), ids=EXPOSED)
def test_the_documented_passphrase_protects_nothing_of_other_machines(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    target: str,
    token: bool,
    open_to_all: bool,
) -> None:
    secure = {"secure": BY_PULUMI} if token else None
    write(tmp_path, target, secure, WITH_KEY["documented passphrase"])
    monkeypatch.chdir(tmp_path)
    assert run("plan", "secretive") == (2 if open_to_all else 0)
    message = capsys.readouterr().err
    if open_to_all:
        assert f"encryptionsalt  is of the documented passphrase `{PASSPHRASE}`" in message
        assert "`scripts/init secretive --backend" in message
        assert ("revoke that token" in message) == token
        assert ("`scripts/secret secretive huggingFaceToken`" in message) == token


@pytest.mark.parametrize("text", ["v1:abc", "v1:abc:def", ciphertext()])
def test_a_token_whose_key_is_not_in_the_file_can_be_planned_and_no_stack_is_made_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    path = write(tmp_path, "local", {"secure": text}, {})
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    assert read_stack_file(path).hugging_face_token == ENCRYPTED
    with pytest.raises(NotAllowedError, match="neither encryptionsalt nor encryptedkey; run `scripts"):
        create("secretive")
