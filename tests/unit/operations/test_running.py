"""Instances that a failed `up` on AWS left running are reported, with hourly cost and end."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from operations import engine, fleet
from operations.running import running
from planning.aws.state import STATE_TAG
from tests.unit.account_examples import FLEET, P5, REGION, client, launch, tags_of
from tests.unit.operations.steps import run
from tests.unit.operations.test_fleet import AWS, resource, state

pytest_plugins = ["tests.unit.moto_account"]
pytestmark = pytest.mark.usefixtures("no_account")

FILE = Path("stacks/Pulumi.disagg.yaml")
STATE = {"inputs": {"tags": {STATE_TAG: FLEET.state}}}
NAT = {"urn": "urn::nat", "type": "aws:ec2/natGateway:NatGateway", "id": "nat-1", **STATE}
NAT_HOURLY, P5_HOURLY = 0.045, 55.04
"""In us-east-1, as the snapshot has them."""


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Return what writes the stack file, with other keys of the target."""
    monkeypatch.chdir(tmp_path)
    FILE.parent.mkdir()

    def stack_file(**keys: Any) -> None:
        config: dict[str, Any] = {key: value for key, value in AWS.items() if key != "aws:profile"}
        config["dynamo:target"] = {**config["dynamo:target"], **keys}
        FILE.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")

    stack_file()
    return stack_file


def hourly(lines: list[str]) -> float:
    found = re.search(r"^costs now  ([\d,.]+) USD an hour", "\n".join(lines), re.MULTILINE)
    assert found, lines
    return float(found.group(1).replace(",", ""))


def test_what_runs_is_what_ec2_says_also_where_the_state_does_not_know_it(
    write: Callable[..., None], account: str
) -> None:
    ids = launch(3, Name="dynamo-disagg-node", **tags_of(FLEET))
    launch(1)
    client("ec2").stop_instances(InstanceIds=[ids[2]])
    here = {"outputs": {"arn": f"arn:aws:ec2:{REGION}:123456789012:instance/{ids[0]}"}}
    lines = running("disagg", FILE, state(NAT, resource("node-1", ids[0], **STATE, **here)))
    runs, costs, ends = lines
    assert all(f"dynamo-disagg-node {name} ({P5}, " in runs for name in ids)
    assert f"2 x {P5}" in costs
    assert "3 x root volume" in costs
    assert "1 x NAT gateway" in costs
    assert hourly(lines) >= 2 * P5_HOURLY + NAT_HOURLY
    assert ends == (
        "ends       never by itself: no `target.lifetime`; `scripts/down disagg` ends it now, "
        "`scripts/up disagg` goes on"
    )


def test_where_ec2_does_not_answer_the_state_counts_and_that_is_said(write: Callable[..., None]) -> None:
    known = {"arn": f"arn:aws:ec2:{REGION}:1:instance/i-1", "instanceType": P5}
    lines = running("disagg", FILE, state(resource("node-1", "i-1", outputs=known)))
    assert lines[0].startswith(
        f"runs now   node-1 i-1 ({P5}, running) as the state says; EC2 was not asked: "
    )
    assert hourly(lines) >= P5_HOURLY


def test_a_network_alone_costs_as_well(write: Callable[..., None], account: str) -> None:
    gateway = {"urn": "urn::s3", "type": "aws:ec2/vpcEndpoint:VpcEndpoint", "id": "vpce-1"}
    free = {**gateway, "inputs": {"vpcEndpointType": "Gateway"}}
    lines = running("disagg", FILE, state(NAT, free))
    assert lines[0] == "runs now   no instance"
    assert "endpoint" not in lines[1]
    assert 0 < hourly(lines) < 1


@pytest.mark.parametrize("exported", [None, state()])
def test_where_nothing_costs_anything_nothing_is_said(
    write: Callable[..., None], account: str, exported: dict[str, Any] | None
) -> None:
    assert running("disagg", FILE, exported) == []


@pytest.mark.parametrize(
    ("lifetime", "expected"),
    [
        ({"maxMinutes": 480}, "each machine 480 minutes after its boot, by itself"),
        ({"idleMinutes": 60}, "machines that were not set up an hour or more after their boot"),
    ],
)
def test_when_it_ends_by_itself_is_said(
    write: Callable[..., None], account: str, lifetime: dict[str, int], expected: str
) -> None:
    launch(1, **tags_of(FLEET))
    write(lifetime=lifetime, purchase="spot")
    lines = running("disagg", FILE, state(NAT))
    assert expected in lines[2]
    assert "of on-demand instances, the most that spot costs" in lines[1]


def test_it_follows_whatever_an_up_failed_for(
    write: Callable[..., None],
    account: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    launch(1, **tags_of(FLEET))
    monkeypatch.setattr(engine, "exported", lambda stack, **options: state(NAT))
    assert fleet.existing_instances(state(NAT)) == {}
    events = tmp_path / "events"
    events.write_text("")
    assert run("explain", "disagg", str(events)) == 0
    assert [line.partition(" ")[0] for line in capsys.readouterr().err.splitlines()] == [
        "runs",
        "costs",
        "ends",
    ]
