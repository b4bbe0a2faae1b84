"""The instances of a stack on AWS as its state knows them: paused, woken, replaced, missed."""

import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from account.capacity import explain, failures, zones_of
from account.instance_power import Power
from account.login import Login, login
from account.requirements import requirements_of
from operations import engine
from operations.errors import StackError
from operations.state import INSTANCE, living
from planning import plan
from planning.aws.target import aws_target
from planning.text import counted
from settings.loader import read_stack_file, stack_file

_PAUSED: Final = "disks, Elastic IPs and a NAT gateway go on costing; a reservation does as well"


@dataclass(frozen=True)
class ExistingInstance:
    """One instance in the stack's state."""

    node: str
    urn: str
    id: str
    region: str


def existing_instances(exported: Mapping[str, Any] | None) -> dict[str, ExistingInstance]:
    """Return the instances of an exported stack by the names of their nodes; none where it is not up."""
    return {
        name: ExistingInstance(
            name, resource["urn"], resource["id"], resource["outputs"]["arn"].split(":")[3]
        )
        for name, resource in living(exported, INSTANCE)
        if resource.get("id")
    }


def login_of(path: Path, found: Mapping[str, ExistingInstance]) -> Login | None:
    """Return where a stack's instances are, or would be; None for another target than aws.

    A region that was written into the stack file since does not move what runs.
    """
    target = aws_target(read_stack_file(path))
    if target is None:
        return None
    where = login(target, path)
    return replace(where, region=next((each.region for each in found.values()), where.region))


def where_they_are(stack: str, found: Mapping[str, ExistingInstance]) -> Login:
    """Return where the stack's instances are. Raises StackError where it has none."""
    where = login_of(stack_file(stack), found)
    if where is None:
        raise StackError(f"stack {stack}: only instances on AWS can be stopped or replaced from here")
    if not found:
        raise StackError(f"stack {stack} has no instances; bring it up with `scripts/up {stack}`")
    return where


def pause(stack: str, found: Mapping[str, ExistingInstance], where: Login) -> None:
    """Stop all instances. Raises PowerError where the purchase option cannot, or one takes too long."""
    power = Power.of(where, lambda line: _say("pausing", line))
    stopped = power.stop([each.id for each in found.values()])
    count = counted(len(stopped), "instance") if stopped else "nothing more"
    print(f"paused     {stack}: stopped {count}; addresses, disks and state are kept")
    print(f"costs      {_PAUSED}")
    print(f"resume     scripts/up {stack}")


def wake(found: Mapping[str, ExistingInstance], where: Login) -> list[str]:
    """Start what was stopped; return those nodes, of which local disks are empty now.

    Raises PowerError where one does not start.
    """
    power = Power.of(where, lambda line: _say("resuming", line))
    started = power.start([each.id for each in found.values()])
    return sorted(each.node for each in found.values() if each.id in started)


def gone(found: Mapping[str, ExistingInstance], where: Login) -> list[ExistingInstance]:
    """Return the instances that ended behind our back: a spot interruption, their lifetime, somebody."""
    there = Power.of(where, _silently).there([each.id for each in found.values()])
    return [each for each in found.values() if each.id not in there]


def forget(stack: str, lost: Sequence[ExistingInstance]) -> None:
    """Let the state know of instances that are gone, so that `up` makes them anew."""
    names = ", ".join(f"{each.node} ({each.id})" for each in lost)
    _say("missing", f"{names}: ended since the last up; made anew")
    targets = [option for each in lost for option in ("--target", each.urn)]
    refresh = ["refresh", "--stack", stack, "--yes", "--skip-preview", *targets]
    engine.run(*refresh, stdout=sys.stderr, check=True)


def explained(path: Path, events: Collection[str]) -> list[str]:
    """Return what to do where a failed `up` wanted capacity that was not there; else nothing."""
    failed, where = failures(events), login_of(path, {})
    if not failed or where is None:
        return []
    requirements = requirements_of(plan(read_stack_file(path)))
    return explain(requirements, failed, zones_of(requirements, where))


def _silently(line: str) -> None:
    del line


def _say(word: str, line: str) -> None:
    print(f"{word:<10} {line}", file=sys.stderr, flush=True)
