"""Changes of a deployed stack: each takes one `up`, and restarts only what it must."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.engine.deployment.checkout import Checkout, answers

STACK = "changing"


@pytest.fixture(scope="module", params=[(), ("--parallel", "1")], ids=["parallel", "one-at-a-time"])
def options(request: pytest.FixtureRequest, checkout: Checkout) -> tuple[str, ...]:
    """Engine options of this round; each round starts from a deployed disaggregated stack."""
    checkout.run("scripts/down", STACK, check=False)
    checkout.copy_stack("local-disagg", STACK)
    found: tuple[str, ...] = request.param
    checkout.run("scripts/up", STACK, *found)
    return found


def role(pids: dict[str, int], name: str) -> dict[str, int]:
    """Return the processes of one role."""
    return {service: pid for service, pid in pids.items() if service.split("/")[1].startswith(name)}


def test_a_changed_decode_flag_previews_as_one_line_and_restarts_the_decode_workers_alone(
    checkout: Checkout, options: tuple[str, ...]
) -> None:
    before = checkout.pids(STACK)
    checkout.edit(
        STACK, lambda c: c["dynamo:roles"]["decode"].setdefault("flags", {}).update({"max-num-seqs": 128})
    )
    preview = checkout.run("pulumi", "preview", "--diff", "--stack", STACK).stdout
    changed = [line for line in preview.splitlines() if "max-num-seqs" in line]
    assert len(changed) == len(role(before, "decode"))
    checkout.up(STACK, *options)
    after = checkout.pids(STACK)
    moved = {service for service in before if before[service] != after[service]}
    assert moved == set(role(before, "decode"))


def test_a_comment_in_the_stack_file_changes_nothing(checkout: Checkout, options: tuple[str, ...]) -> None:
    path = checkout.path / "stacks" / f"Pulumi.{STACK}.yaml"
    path.write_text(path.read_text() + "# a remark\n")
    checkout.unchanged(STACK)


def replicas(count: int) -> Callable[[dict[str, Any]], None]:
    """Return an edit that sets the number of decode workers."""
    return lambda config: config["dynamo:roles"]["decode"].update(replicas=count)


def test_replicas_go_down_and_up_one_up_each_and_the_others_are_left_alone(
    checkout: Checkout, options: tuple[str, ...]
) -> None:
    previous: dict[str, int] = {}
    for count in (3, 2, 1, 3):
        checkout.edit(STACK, replicas(count))
        checkout.up(STACK, *options)
        checkout.unchanged(STACK)
        current = checkout.pids(STACK)
        assert len(role(current, "decode")) == count
        assert {s: current[s] for s in current.keys() & previous.keys()} == {
            s: previous[s] for s in current.keys() & previous.keys()
        }
        previous = current
        assert answers(checkout.outputs(STACK))


def test_the_head_moves_to_another_node_in_one_up(checkout: Checkout, options: tuple[str, ...]) -> None:
    before = checkout.outputs(STACK)["endpoint"]
    checkout.edit(STACK, lambda config: config.update({"dynamo:head": {"placement": "colocated", "node": 2}}))
    checkout.up(STACK, *options)
    outputs = checkout.outputs(STACK)
    assert outputs["endpoint"] != before
    assert answers(outputs)
    checkout.unchanged(STACK)


def test_the_pattern_changes_in_one_up_and_back(checkout: Checkout, options: tuple[str, ...]) -> None:
    roles: dict[str, Any] = {}

    def to_agg(config: dict[str, Any]) -> None:
        roles.update(config["dynamo:roles"])
        frontend = config["dynamo:roles"].get("frontend", {})
        config["dynamo:pattern"] = "agg"
        config["dynamo:roles"] = {"frontend": frontend, "aggregated": {"replicas": 2}}

    def back(config: dict[str, Any]) -> None:
        config.update({"dynamo:pattern": "disagg", "dynamo:roles": roles})

    for edit, wanted in ((to_agg, "aggregated"), (back, "decode")):
        checkout.edit(STACK, edit)
        checkout.up(STACK, *options)
        outputs = checkout.outputs(STACK)
        assert outputs["proof"]["ok"]
        assert {engine["role"] for engine in outputs["topology"]["engines"]} >= {wanted}
        assert answers(outputs)
        checkout.unchanged(STACK)
