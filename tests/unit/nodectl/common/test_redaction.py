"""Redaction of user input: nothing of a secret is shown, and everything else is."""

import ast
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nodectl.__main__ import main as nodectl
from nodectl.common.redaction import (
    holds_secret,
    looks_secret,
    names_password,
    names_secret,
    quoted,
    redacted,
    shown,
    without_known_secrets,
)
from tests.unit.secret_shapes import SECRETS, Planted

PLAIN = (
    "agg",
    "aggg",
    "p5.48xlarge",
    "u7in-24tb.224xlarge",
    "g6e.48xlarge",
    "us-west-2-lax-1a",
    "vpc-0123456789abcdef0",
    "ami-0abcdef1234567890",
    "cr-0123456789abcdef0",
    "203.0.113.7/24",
    "2001:db8:85a3::8a2e:370:7334",
    "0x2",
    "010",
    "1.10",
    "12.10",
    "2026-11-23",
    "1000000",
    "gpu-1:2222",
    "ops@[2001:db8::1]:2222",
    "ops@bastion:2222",
    "https://packages.example.org:8443",
    "fe80::1%eth0",
    "key-0123456789abcdef0",
    "ops@bastion.example.org",
    "a;reboot",
    "$(reboot)",
    "x; rm -rf /",
    "../../etc/passwd",
    "/srv/models/llama-3.3-70b",
    "s3://my-models/llama-3.3-70b-instruct",
    "meta-llama/Llama-3.3-70B-Instruct",
    "Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
    "mistralai/Mixtral-8x22B-Instruct-v0.1",
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0",
    "LlamaForCausalLM",
    "--enforce-eager",
    "max_model_len",
    "max-model-len=8",
    "allgather_reducescatter",
    "fp8_e4m3",
    "https://packages.example.org/simple",
    "registry.example.org:5000/team/vllm-runtime:1.6.0-efa",
    "vllm-runtime:1.6.0",
    "arn:aws:iam::123456789012:instance-profile/nodes",
)
"""Text that people write, rightly or wrongly."""


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_no_part_of_a_secret_is_shown(secret: Planted) -> None:
    for text in (secret.text, f"see {secret.text} there", f'"{secret.text}"'):
        for written in (shown(text), quoted(text), redacted(text)):
            assert [part for part in secret.parts if part in written] == []


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_what_surely_is_a_secret_is_told_from_what_may_be_one(secret: Planted) -> None:
    assert holds_secret(secret.text) is secret.known
    if secret.known:
        written = without_known_secrets(f"expected `{secret.text}`")
        assert [part for part in secret.parts if part in written] == []


@pytest.mark.parametrize("text", PLAIN)
def test_what_people_write_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == f'"{text}"'
    assert redacted(text) == text
    assert not looks_secret(text)
    assert not holds_secret(text)


@given(st.text() | st.sampled_from([secret.text for secret in SECRETS.values()]))
def test_what_is_shown_can_be_shown_again(text: str) -> None:
    once = redacted(text)
    assert redacted(once) == once


@pytest.mark.parametrize("text", [*PLAIN, *(secret.text for secret in SECRETS.values())])
def test_what_is_quoted_can_be_redacted_again(text: str) -> None:
    assert redacted(quoted(text)) == quoted(text)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ({"a": 1}, "{…}"),
        ({}, "{}"),
        (["a"], "[…]"),
        ([], "[]"),
        (None, ""),
        (True, "true"),
        (1.5, "1.5"),
        (8, "8"),
        (b"x", "…"),
        ("a" * 26 + " " + "b" * 99, f'"{"a" * 26} …" (126 characters)'),
    ],
)
def test_a_value_of_any_type_is_shown_on_one_line_and_never_as_python(value: object, written: str) -> None:
    assert shown(value) == written


SECRET_NAMES = [
    "TOKEN",
    "HF_TOKEN",
    "PAT",
    "GH_PAT",
    "GITHUB_PAT",
    "DB_PASS",
    "PASS",
    "PASSWORD",
    "PGPASSWORD",
    "MYSQL_PWD",
    "MY_KEY",
    "VLLM_API_KEY",
    "APIKEY",
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "CREDENTIALS",
    "NATS_AUTH_TOKEN",
    "SECRET_KEY_BASE",
    "VLLM_API_KEY2",
    "HFTOKEN",
    "BEARER",
    "apiKey",
    "api-key",
    "hubToken",
    "hub_token",
    "hf-token",
    "sshPrivateKey",
    "password",
    "passphrase",
    "REDIS_PASSWD",
    "wandb_api_key",
    "DOCKER_CREDS",
]
PLAIN_NAMES = [
    "PATH",
    "PWD",
    "OLDPWD",
    "BYPASS",
    "UCX_IB_PKEY",
    "NCCL_IB_PKEY",
    "MAX_TOKENS",
    "TOKENIZERS_PARALLELISM",
    "HF_TOKEN_PATH",
    "SSL_KEY_FILE",
    "AWS_SHARED_CREDENTIALS_FILE",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "keyFile",
    "keyPair",
    "kmsKeyId",
    "pad_token_id",
    "KEYS",
    "max-num-batched-tokens",
    "tokenizer-mode",
    "nats-tls-client-key-path",
    "router-tracking-key-id",
    "spec-tokens",
    "PATTERN",
    "COMPASS",
    "MONKEY_PATCH",
    "PASSTHROUGH",
    "FI_MR_KEY_SIZE",
    "key-value",
    "secretary",
]


@pytest.mark.parametrize("name", SECRET_NAMES)
def test_names_that_people_give_to_secrets_are_told(name: str) -> None:
    assert names_secret(name)


@pytest.mark.parametrize("name", PLAIN_NAMES)
def test_names_that_only_look_alike_are_none(name: str) -> None:
    assert not names_secret(name)


def test_only_passwords_are_called_passwords() -> None:
    assert [name for name in SECRET_NAMES if names_password(name)] == [
        "PASSWORD",
        "password",
        "passphrase",
        "REDIS_PASSWD",
    ]


PRODUCT = [
    *("account", "components", "nodectl", "operations", "planning", "policy", "program", "remote", "settings")
]
PRODUCT += ["tools"]


@pytest.mark.parametrize("package", PRODUCT)
def test_no_text_of_the_project_shows_a_value_as_python_writes_it(package: str) -> None:
    """`{value!r}` and `repr(value)` would show what `shown` hides."""
    found = [
        f"{path}:{node.lineno}"
        for path in sorted(Path(package).rglob("*.py"))
        if "hostlab" not in path.parts
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if (isinstance(node, ast.FormattedValue) and node.conversion == ord("r"))
        or (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "repr")
    ]
    assert any(Path(package).rglob("*.py"))
    assert found == []


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_nodectl_shows_nothing_of_a_secret_that_it_was_given_in_place_of_something_else(
    secret: Planted, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    text = secret.text
    specs: list[object] = [
        {text: text},
        text,
        [text],
        {"variant": text},
        {"variant": "mocker", "engine": text},
        {"variant": "mocker", "engine": {"kind": text}},
        {"variant": "mocker", "engine": {"kind": "venv"}, "stores": {"source": text}},
        {"variant": "mocker", "engine": {"kind": "venv"}, "model": text},
        {"variant": "mocker", "engine": {"kind": "venv"}, "model": {"kind": text, "name": "a"}},
        {"variant": "mocker", "engine": {"kind": "venv"}, "model": {"kind": "path", "name": text}},
    ]
    for number, spec in enumerate(specs):
        for verb in ("install", "apply", "secrets")[: 3 if number else 2]:  # secrets have any name
            monkeypatch.setattr("sys.stdin", io.StringIO(json.dumps(spec)))
            nodectl([verb, *(["--root", str(tmp_path)] if verb != "install" else [])])
    printed = "".join(capsys.readouterr())
    assert "standard input" in printed
    assert [part for part in secret.parts if part in printed] == [], printed[:3000]


def test_of_all_flags_only_the_hubs_token_is_called_like_a_secret() -> None:
    known = json.loads(Path("planning/commands/flags/known.json").read_text(encoding="utf-8"))
    assert {name for flags in known.values() for name in flags if names_secret(name)} == {"hf-token"}
