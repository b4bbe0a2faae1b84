"""One node of a stack is replaced, paused or lost, and the real engine changes nothing of the others."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from account.capacity import Failure, failures
from account.login import Login
from operations.fleet import ExistingInstance, existing_instances, forget, gone, pause, wake
from tests.aws.cloud.server import REGION, Cloud
from tests.aws.support.plugin import add_standin
from tests.engine.pulumi_cli import PulumiProject

STACK = "fleet"
LOGIN = Login(REGION)
PROGRAM = """
    import base64
    import pulumi
    from pulumi_aws import ec2
    from pulumi_command import local

    vpc = ec2.Vpc("net", cidr_block="10.79.0.0/24")
    subnet = ec2.Subnet("subnet", vpc_id=vpc.id, cidr_block="10.79.0.0/24", availability_zone="us-east-1a")
    for number in (1, 2):
        interface = ec2.NetworkInterface(
            f"interface-{number}", subnet_id=subnet.id, private_ips=[f"10.79.0.1{number}"]
        )
        template = ec2.LaunchTemplate(
            f"template-{number}",
            image_id="ami-12c6146b",
            instance_type="p5.48xlarge",
            user_data=base64.b64encode(b"#cloud-config").decode(),
            network_interfaces=[{"network_interface_id": interface.id, "device_index": 0}],
        )
        instance = ec2.Instance(
            f"node-{number}",
            launch_template={"id": template.id, "version": "$Latest"},
            opts=pulumi.ResourceOptions(delete_before_replace=True, replacement_trigger="as planned"),
        )
        local.Command(f"node-{number}-apply", create="date", update="date", triggers=[instance.id])
"""


@dataclass(frozen=True)
class Fleet:
    """Two nodes as the program for AWS makes them, but for what runs on them."""

    project: PulumiProject

    def kept(self) -> dict[str, ExistingInstance]:
        return existing_instances(json.loads(self.project.export(STACK)))

    def up(self, *options: str) -> Mapping[str, str]:
        """Return what an `up` did, without what stayed the same."""
        steps = self.project.up(STACK, *options).steps()
        return {name: step for name, step in steps.items() if step != "same"}


@pytest.fixture(scope="module")
def fleet(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    folder = tmp_path_factory.mktemp("fleet")
    base = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
    home = {"PULUMI_HOME": str(add_standin(folder / ".home", base))}
    project = PulumiProject.make(folder, PROGRAM, {**cloud.environment, **home})
    project.init(STACK)
    project.run("config", "set", "aws:region", REGION, "--stack", STACK)
    project.up(STACK)
    yield Fleet(project)
    project.destroy(STACK)


@pytest.fixture(autouse=True)
def operator(fleet: Fleet, cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stand where an operator does: in the project's folder, with its environment and credentials."""
    monkeypatch.chdir(fleet.project.folder)
    for name, value in fleet.project.environment().items():
        monkeypatch.setenv(name, value)


def ec2() -> Any:
    return boto3.client("ec2", region_name=REGION)


def test_a_sick_node_is_replaced_and_set_up_and_the_other_stays(fleet: Fleet) -> None:
    before = fleet.kept()
    steps = fleet.up("--replace", before["node-2"].urn)
    assert set(steps) == {"node-2", "node-2-apply"}
    after = fleet.kept()
    assert (before["node-1"], before["node-2"].id) == (after["node-1"], before["node-2"].id)
    assert after["node-2"].id != before["node-2"].id
    assert [instance.node for instance in gone(before, LOGIN)] == ["node-2"]
    assert fleet.up() == {}


def test_an_instance_that_ended_is_forgotten_and_made_anew(fleet: Fleet) -> None:
    before = fleet.kept()
    ec2().terminate_instances(InstanceIds=[before["node-1"].id])
    assert fleet.up() == {}  # the engine asks nobody by itself
    forget(STACK, gone(before, LOGIN))
    assert set(fleet.up()) == {"node-1", "node-1-apply"}
    after = fleet.kept()
    assert after["node-2"] == before["node-2"]
    assert gone(after, LOGIN) == []


def test_a_stack_that_was_paused_resumes_without_a_change(fleet: Fleet) -> None:
    found = fleet.kept()
    pause(STACK, found, LOGIN)
    assert sorted(wake(found, LOGIN)) == ["node-1", "node-2"]
    assert fleet.up() == {}
    assert fleet.kept() == found


def test_a_node_without_capacity_is_told_by_the_engines_events_and_comes_when_there_is_some(
    fleet: Fleet, cloud: Cloud
) -> None:
    sold_out = ("p5.48xlarge", "us-east-1a")
    cloud.state.sold_out.add(sold_out)
    try:
        result = fleet.project.up(STACK, "--replace", fleet.kept()["node-2"].urn, check=False)
    finally:
        cloud.state.sold_out.remove(sold_out)
    assert result.returncode != 0
    events = [json.dumps(event) for event in result.events]
    assert failures(events) == [Failure("node-2", "InsufficientInstanceCapacity")]
    assert set(fleet.up()) == {"node-2", "node-2-apply"}
