"""Taking a stack down asks AWS what blocks it, and is kept from nothing by whoever does not answer."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations import destroying
from tests.unit.operations.test_fleet import AWS, resource, state

pytest_plugins = ["tests.unit.moto_account"]
pytestmark = pytest.mark.usefixtures("no_account")

VPC = {"urn": "urn::vpc", "type": destroying.VPC, "id": "vpc-01234567"}
FILE = Path("stacks/Pulumi.disagg.yaml")


@pytest.fixture
def destroyed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Sequence[str]]:
    """Give what Pulumi is told to destroy; a stack file stands in a project folder."""
    monkeypatch.chdir(tmp_path)
    FILE.parent.mkdir()
    FILE.write_text(yaml.safe_dump({"config": AWS}), encoding="utf-8")
    found: list[Sequence[str]] = []

    def run(command: Sequence[str], **_: Any) -> subprocess.CompletedProcess[str]:
        found.append(command)
        return subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(subprocess, "run", run)
    return found


WHOLE = ["pulumi", "destroy", "--skip-preview", "--stack", "disagg", "--yes"]


@pytest.mark.parametrize("text", ["config: {", "config: {dynamo:target: {kind: nowhere}}\n", "[]"])
def test_a_stack_file_that_is_wrong_keeps_nothing_up(
    destroyed: list[Sequence[str]], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    FILE.write_text(text, encoding="utf-8")
    destroying.destroy("disagg", FILE, state(VPC, resource("node-1", "i-1")))
    assert destroyed == [WHOLE]
    assert "guardduty  not looked for: stacks/Pulumi.disagg.yaml" in capsys.readouterr().err


def test_an_account_that_does_not_answer_keeps_nothing_up_and_what_may_block_is_said(
    destroyed: list[Sequence[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    destroying.destroy("disagg", FILE, state(VPC, resource("node-1", "i-1")))
    assert destroyed == [WHOLE]
    said = capsys.readouterr().err
    assert "if vpc-01234567 cannot be deleted, delete the endpoint and the security group" in said


def test_in_a_network_of_others_nothing_is_looked_for(
    destroyed: list[Sequence[str]], capsys: pytest.CaptureFixture[str]
) -> None:
    destroying.destroy("disagg", FILE, state(resource("node-1", "i-1")))
    assert destroyed == [WHOLE]
    assert capsys.readouterr().err == ""
