"""A fleet that is up is paused and resumed, and one of its machines is replaced by another."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import pytest

from tests.aws.support.machines import LabMachines
from tests.aws.support.stacks import AwsStacks
from tests.engine.deployment.checkout import answers, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

STACK: Final = "disagg"
ADDRESSES: Final = {"node-1": "10.79.0.11", "node-2": "10.79.0.12"}


@dataclass(frozen=True)
class Fleet:
    """A prefill worker on the head, a decode worker on another machine, and the project's scripts."""

    stacks: AwsStacks
    machines: LabMachines

    def script(self, *command: str) -> str:
        completed = self.stacks.checkout.run(*command, seconds=800)
        return completed.stdout + completed.stderr

    def instances(self) -> dict[str, tuple[str, str]]:
        """Return id and state of the instance at each node's address; those that are gone do not count."""
        filters = [{"Name": "private-ip-address", "Values": list(ADDRESSES.values())}]
        found = self.stacks.cloud.client("ec2").describe_instances(Filters=filters)["Reservations"]
        at = {
            instance["PrivateIpAddress"]: (instance["InstanceId"], instance["State"]["Name"])
            for reservation in found
            for instance in reservation["Instances"]
            if instance["State"]["Name"] != "terminated"
        }
        return {node: at[address] for node, address in ADDRESSES.items()}

    def launches(self) -> dict[str, int]:
        """Return how often a machine was launched for each node."""
        return {node: self.stacks.cloud.state.launches[address] for node, address in ADDRESSES.items()}

    def processes(self, node: str) -> dict[str, int | None]:
        """Return the main process of every service of a node."""
        services = json.loads(self.script("scripts/node", STACK, node, "status"))["services"]
        return {name: service["pid"] for name, service in services.items()}

    def serves(self) -> Any:
        """Return the stack's outputs, once the model answers and a preview has nothing to do."""
        outputs = self.stacks.outputs(STACK)
        assert outputs["proof"]["ok"]
        eventually(lambda: answers(outputs), seconds=30, what="the model answers")
        self.stacks.checkout.unchanged(STACK)
        return outputs


@pytest.fixture(scope="module")
def fleet(stacks: AwsStacks, machines: LabMachines) -> Iterator[Fleet]:
    """A stack that is up."""
    stacks.write(STACK, STACK)
    made = Fleet(stacks, machines)
    made.script("scripts/up", STACK)
    yield made
    made.script("scripts/down", STACK)


def test_a_paused_fleet_is_off_and_comes_back_as_it_was(fleet: Fleet) -> None:
    before, launches, endpoint = fleet.instances(), fleet.launches(), fleet.serves()["endpoint"]
    hosts = [fleet.machines.host(instance) for instance, _ in before.values()]
    result = fleet.script("scripts/pause", STACK)
    assert "stopped 2 instances" in result
    assert [host.running for host in hosts] == [False, False]
    assert {state for _, state in fleet.instances().values()} == {"stopped"}
    result = fleet.script("scripts/up", STACK)
    assert "resuming   node-1, node-2: set up again" in result
    assert fleet.instances() == before, "the same instances, which run"
    assert fleet.launches() == launches
    assert [host.running for host in hosts] == [True, True]
    assert fleet.serves()["endpoint"] == endpoint


def test_one_machine_is_replaced_and_nothing_on_the_other_restarts(fleet: Fleet) -> None:
    before, launches, processes = fleet.instances(), fleet.launches(), fleet.processes("node-1")
    fleet.script("scripts/replace", STACK, "node-2")
    after = fleet.instances()
    assert after["node-1"] == before["node-1"]
    assert after["node-2"][0] != before["node-2"][0]
    assert fleet.launches() == launches | {"node-2": launches["node-2"] + 1}
    assert fleet.processes("node-1") == processes
    fleet.serves()


def test_the_heads_machine_is_replaced_and_the_other_serves_with_the_new_one(fleet: Fleet) -> None:
    before, launches = fleet.instances(), fleet.launches()
    fleet.script("scripts/replace", STACK, "node-1")
    after = fleet.instances()
    assert after["node-1"][0] != before["node-1"][0]
    assert after["node-2"] == before["node-2"]
    assert fleet.launches() == launches | {"node-1": launches["node-1"] + 1}
    fleet.serves()
