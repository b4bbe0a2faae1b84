"""The backend of state, and the digest that distinguishes the fleets of two states."""

import json
from pathlib import Path

import pytest

from planning.aws.state import kept_on_this_machine, state_digest
from program.backend import UnknownBackendError, backend, recorded

NAMES = ("organization", "dynamo", "disagg")


@pytest.mark.parametrize(
    "url",
    [
        "s3://team-state/dynamo",
        "s3://team-state/dynamo/",
        "s3://team-state/dynamo?region=us-east-1&awssdk=v2&profile=alice",
        "S3://team-state/dynamo",
        "s3://team-state/d%79namo",
    ],
)
def test_two_operators_of_one_state_have_one_digest(url: str) -> None:
    assert state_digest(url, *NAMES) == state_digest("s3://team-state/dynamo", *NAMES)


def test_every_other_state_has_another_digest() -> None:
    states = [
        ("s3://team-state/dynamo", *NAMES),
        ("s3://team-state", *NAMES),
        ("s3://other-state/dynamo", *NAMES),
        ("gs://team-state/dynamo", *NAMES),
        ("file:///home/alice/dynamo/.state", *NAMES),
        ("file:///home/bob/dynamo/.state", *NAMES),
        ("https://api.pulumi.com", *NAMES),
        ("https://api.pulumi.com", "other", "dynamo", "disagg"),
        ("https://api.pulumi.com", "organization", "other", "disagg"),
        ("https://api.pulumi.com", "organization", "dynamo", "agg"),
    ]
    assert len({state_digest(*state) for state in states}) == len(states)


def test_the_digest_of_a_state_never_changes() -> None:
    """Instances of fleets that run carry it."""
    assert state_digest("s3://team-state/dynamo", *NAMES) == "0310c7eae7e4f851"


@pytest.mark.parametrize(
    ("url", "here"),
    [("file:///x/.state", True), ("file://~", True), ("s3://b", False), ("https://api.pulumi.com", False)],
)
def test_only_a_folder_is_kept_on_this_machine(url: str, here: bool) -> None:
    assert kept_on_this_machine(url) is here


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text("name: dynamo\nbackend:\n  url: s3://recorded\n")
    return tmp_path


def logins(folder: Path, record: object) -> dict[str, str]:
    (folder / "credentials.json").write_text(json.dumps(record))
    return {"PULUMI_CREDENTIALS_PATH": str(folder)}


def test_the_environment_decides_then_the_project_then_the_login(project: Path) -> None:
    login = logins(project, {"current": "https://api.pulumi.com"})
    assert backend({"PULUMI_BACKEND_URL": "file:///x", **login}, project) == "file:///x"
    assert backend(login, project) == "s3://recorded"
    (project / "Pulumi.yaml").write_text("name: dynamo\n")
    assert recorded(project) is None
    assert backend(login, project) == "https://api.pulumi.com"


@pytest.mark.parametrize("record", [{}, {"current": ""}, {"$pulumiSecureStore": 1}, [], "x"])
def test_a_backend_that_cannot_be_told_is_not_guessed(project: Path, record: object) -> None:
    (project / "Pulumi.yaml").write_text("name: dynamo\n")
    with pytest.raises(UnknownBackendError, match="scripts/init"):
        backend(logins(project, record), project)
