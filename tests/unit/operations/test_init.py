"""Refusals of `scripts/init`, each with its remedy, and the files that it writes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations.backend_choice import RequestedBackend, problems, record
from settings import Settings
from settings.loader import read_stack_file
from tools.toolchain.shell import SALT, script

STACKS = Path(__file__).parents[3] / "stacks"
S3 = "s3://team-state/dynamo?region=us-east-1"
KMS = "awskms://alias/dynamo?region=us-east-1"
CLOUD = "https://api.pulumi.com"
OWN = {"PULUMI_CONFIG_PASSPHRASE": "of our own"}


def settings(stack: str = "disagg") -> Settings:
    return read_stack_file(STACKS / f"Pulumi.{stack}.yaml")


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "Pulumi.yaml").write_text("# of ours\nname: dynamo # kept\n")
    return tmp_path


def said(
    backend: str = S3,
    provider: str = KMS,
    *,
    stack: str = "disagg",
    document: Mapping[str, Any] | None = None,
    environ: Mapping[str, str] | None = None,
) -> str:
    """Return what speaks against it, in one text."""
    return "\n".join(
        problems(RequestedBackend(stack, backend, provider), settings(stack), document or {}, environ or {})
    )


@pytest.mark.parametrize(
    ("backend", "provider", "environ"),
    [
        (S3, KMS, {}),
        (S3, "gcpkms://projects/p/locations/l/keyRings/r/cryptoKeys/k", {}),
        (S3, "awskms:///arn:aws:kms:us-east-1:1:key/k?region=us-east-1", {"PULUMI_BACKEND_URL": S3}),
        (S3, "passphrase", OWN),
        (S3, "passphrase", {"PULUMI_CONFIG_PASSPHRASE_FILE": "/etc/secret"}),
        (CLOUD, "default", {}),
        (CLOUD, KMS, {}),
        ("gs://team", "passphrase", OWN),
    ],
)
def test_what_can_be_meant_is_let_pass(backend: str, provider: str, environ: Mapping[str, str]) -> None:
    assert said(backend, provider, environ=environ) == ""


@pytest.mark.parametrize(
    ("backend", "remedy"),
    [
        ("team-state", "expected s3://BUCKET"),
        ("", "expected s3://BUCKET"),
        ("s3://", "expected s3://BUCKET"),
        ("ftp://x/y", "expected s3://BUCKET"),
        ("s3://team-state?profile=alice", "set AWS_PROFILE"),
        ("file:///home/alice/state", "allowLocalState"),
    ],
)
def test_a_backend_that_cannot_be_meant_is_refused(backend: str, remedy: str) -> None:
    assert remedy in said(backend)


@pytest.mark.parametrize(
    ("provider", "remedy"),
    [
        ("alias/dynamo", "expected awskms://"),
        ("awskms://", "expected awskms://"),
        ("awskms://alias/dynamo", "add ?region="),
        (KMS + "&profile=alice", "set AWS_PROFILE"),
        ("default", "only Pulumi Cloud has one"),
        ("passphrase", "set PULUMI_CONFIG_PASSPHRASE"),
    ],
)
def test_a_secrets_provider_that_cannot_be_meant_is_refused(provider: str, remedy: str) -> None:
    assert remedy in said(provider=provider)


def test_the_documented_passphrase_protects_nothing_that_is_shared() -> None:
    documented = {"PULUMI_CONFIG_PASSPHRASE": "dynamo"}
    assert "nobody else" in said(provider="passphrase", environ=documented)


def test_local_stacks_share_no_state() -> None:
    assert "nothing to decide" in said(stack="local")


def test_a_stack_file_as_shipped_for_the_lab_is_not_shared() -> None:
    assert "remove that line" in said(stack="lab-agg", document={"encryptionsalt": SALT})


def test_secrets_are_not_left_behind_with_another_provider() -> None:
    for document in ({"secretsprovider": "awskms://other?region=x"}, {"encryptionsalt": "v1:theirs"}):
        assert f'change-secrets-provider --stack disagg "{KMS}"' in said(document=document)
    assert said(document={"secretsprovider": KMS}) == ""


def test_an_environment_that_would_win_is_named() -> None:
    assert "unset it" in said(environ={"PULUMI_BACKEND_URL": "s3://other"})


def test_one_project_has_one_backend(project: Path) -> None:
    record(S3)
    assert said() == ""
    assert "pulumi stack export" in said(CLOUD)


def test_recording_keeps_the_rest_of_the_file_and_happens_once(project: Path) -> None:
    record(S3)
    once = (project / "Pulumi.yaml").read_text()
    assert once.startswith("# of ours\nname: dynamo # kept\n")
    assert yaml.safe_load(once)["backend"] == {"url": S3}
    record(S3)
    assert (project / "Pulumi.yaml").read_text() == once


def test_only_a_fleet_that_costs_money_needs_shared_state() -> None:
    here = "file:///home/alice/dynamo/.state"
    assert "second fleet" in said(here)
    assert said(here, stack="lab-agg") == ""


@pytest.fixture
def clone(project: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """A clone whose Pulumi.yaml names a backend; returns a bare environment."""
    record(S3)
    (project / "stacks").mkdir()
    for stack in ("local", "lab-agg", "disagg"):
        text = (STACKS / f"Pulumi.{stack}.yaml").read_text()
        (project / f"stacks/Pulumi.{stack}.yaml").write_text(text)
    hosts = (STACKS / "Pulumi.lab-agg.yaml").read_text().splitlines(keepends=True)
    (project / "stacks/Pulumi.ours.yaml").write_text("".join(x for x in hosts if SALT not in x))
    for name, folder in (("PROJECT", ""), ("STATE", ".state"), ("TOOLCHAIN", ".toolchain"), ("POLICY", "p")):
        monkeypatch.setattr(f"tools.toolchain.shell.{name}", project / folder)
    return {"HOME": str(project), "PULUMI_CREDENTIALS_PATH": str(project), "PATH": "/bin"}


@pytest.mark.parametrize(
    ("stack", "here", "judged"),
    [
        (None, False, True),
        ("disagg", False, True),
        ("ours", False, False),
        ("local", True, False),
        ("lab-agg", True, False),
        ("unheard-of", False, True),
    ],
)
def test_a_shell_finds_the_state_and_the_policies_of_its_stack(
    clone: Mapping[str, str], stack: str | None, here: bool, judged: bool
) -> None:
    lines = script(clone, stack)
    assert ("PULUMI_BACKEND_URL=file://" in lines) == here
    assert ("PULUMI_OPTION_POLICY_PACK=" in lines) == judged


def test_what_a_user_chose_for_all_their_work_is_respected(clone: Mapping[str, str]) -> None:
    lines = script({**clone, "PULUMI_BACKEND_URL": "s3://mine", "PULUMI_OPTION_POLICY_PACK": ""}, "local")
    assert "export PULUMI_BACKEND_URL" not in lines
    assert "export PULUMI_OPTION_POLICY_PACK" not in lines


@pytest.mark.parametrize(
    "url",
    [
        "https://ops:kitchen@api.example.org",
        "postgres://ops:kitchen@db.example.org/state",
        "s3://team-state/dynamo?region=us-east-1&secret_access_key=kitchen",
        "azblob://state?sig=kitchen",
        "kitchen7Qx9Lm2Zp4Rt8@nowhere",
    ],
)
def test_a_password_in_an_address_is_neither_written_nor_shown(url: str) -> None:
    told = (said(backend=url), said(provider=url), said(environ={"PULUMI_BACKEND_URL": url}))
    assert all(told)
    assert "kitchen" not in "".join(told)
