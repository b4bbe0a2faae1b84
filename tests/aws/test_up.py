"""The shipped stacks of target aws, from the VPC to the proof: on machines, with simulated engines."""

import socket
from typing import Any

import pytest

from tests.aws.support.machines import LabMachines
from tests.aws.support.stacks import AwsStacks
from tests.engine.deployment.checkout import answers, eventually


def engines(outputs: Any) -> list[tuple[str, list[str]]]:
    """Return role and nodes of every engine."""
    found = outputs["topology"]["engines"]
    return [(engine["role"], [rank["node"] for rank in engine["ranks"]]) for engine in found]


SHAPES = {
    "agg": [("aggregated", ["node-1"]), ("aggregated", ["node-2"])],
    "disagg": [("prefill", ["node-1"]), ("decode", ["node-2"])],
    "large": [("aggregated", ["node-1", "node-2"])],
}
LIFETIMES: dict[str, dict[str, int]] = {
    "agg": {"maxMinutes": 480},
    "disagg": {},
    "large": {"idleMinutes": 480},
}
"""Of machines that boot with a deadline: `up` keeps it, or has idleness decide in its place."""


@pytest.mark.parametrize("shape", SHAPES)
def test_a_shipped_stack_comes_up_is_proved_changes_nothing_and_leaves_nothing(
    stacks: AwsStacks, machines: LabMachines, shape: str
) -> None:
    before = stacks.cloud.inventory()
    lifetime = LIFETIMES[shape]
    stacks.write(shape, shape, lambda config: config["dynamo:target"].update(lifetime=lifetime))
    stacks.create(shape)
    stacks.up(shape)
    outputs = stacks.outputs(shape)
    assert outputs["proof"]["ok"]
    assert engines(outputs) == SHAPES[shape]
    assert answers(outputs)
    stacks.checkout.unchanged(shape)
    the_groups_let_through_what_is_needed_and_no_more()
    machines.wait()
    host = machines.host(instance_at(stacks, "10.79.0.12"))
    timers = host.exec(["systemctl", "list-timers", "--no-legend", "dynamo-multinode-lifetime.timer"]).stdout
    assert ("dynamo-multinode-lifetime" in timers) == ("maxMinutes" in lifetime)
    if shape == "disagg":
        the_head_is_replaced_and_workers_show_no_change(stacks, shape)
    stacks.destroy(shape)
    assert stacks.cloud.inventory() == before


def the_groups_let_through_what_is_needed_and_no_more() -> None:
    """Connect from outside of the cluster, which the hosts' packet filter takes for an administrator."""
    assert [reached("10.79.0.11", port) for port in (22, 8000)] == [True, True]
    assert not [port for port in (2379, 4222, 9090, 9401) if reached("10.79.0.11", port)]
    assert not [port for port in (22, 9090, 9401) if reached("10.79.0.12", port)]


def reached(address: str, port: int) -> bool:
    """Return whether a connection is taken; one that is filtered gets no answer."""
    try:
        socket.create_connection((address, port), timeout=0.5).close()
    except OSError:
        return False
    return True


def the_head_is_replaced_and_workers_show_no_change(stacks: AwsStacks, stack: str) -> None:
    """Terminate the head by hand, and see one `up` bring it back and nothing else."""
    worker = instance_at(stacks, "10.79.0.12")
    launches = dict(stacks.cloud.state.launches)
    head = instance_at(stacks, "10.79.0.11")
    stacks.cloud.client("ec2").terminate_instances(InstanceIds=[head])
    stacks.checkout.run("pulumi", "refresh", "--yes", "--stack", stack)
    steps = stacks.preview(stack).steps()
    assert steps["Instance:node-1"] == "create"
    assert [name for name in steps if "node-2" in name] == []
    stacks.up(stack)
    outputs = stacks.outputs(stack)
    assert outputs["proof"]["ok"]
    eventually(lambda: answers(outputs), seconds=60, what="the new head answers")
    assert instance_at(stacks, "10.79.0.11") != head
    assert stacks.cloud.state.launches["10.79.0.11"] == launches["10.79.0.11"] + 1
    assert stacks.cloud.state.launches["10.79.0.12"] == launches["10.79.0.12"]
    assert instance_at(stacks, "10.79.0.12") == worker
    stacks.checkout.unchanged(stack)


def instance_at(stacks: AwsStacks, address: str) -> str:
    """Return the id of the instance that has an address."""
    wanted = [{"Name": "private-ip-address", "Values": [address]}]
    running = [{"Name": "instance-state-name", "Values": ["running"]}]
    found = stacks.cloud.client("ec2").describe_instances(Filters=wanted + running)["Reservations"]
    return str(found[0]["Instances"][0]["InstanceId"])
