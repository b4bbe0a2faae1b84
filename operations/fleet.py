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


def existing_instances(stack_state: Mapping[str, Any] | None) -> dict[str, ExistingInstance]:
    """Return the instances of an exported stack by the names of their nodes; none where it is not up."""
    return {
        name: ExistingInstance(
            name, resource["urn"], resource["id"], resource["outputs"]["arn"].split(":")[3]
        )
        for name, resource in living(stack_state, INSTANCE)
        if resource.get("id")
    }


def login_of(path: Path, existing: Mapping[str, ExistingInstance]) -> Login | None:
    """Return where a stack's instances are, or would be; None for another target than aws.

    A region that was written into the stack file since does not move what runs.
    """
    target = aws_target(read_stack_file(path))
    if target is None:
        return None
    stack_login = login(target, path)
    return replace(
        stack_login, region=next((instance.region for instance in existing.values()), stack_login.region)
    )


def where_they_are(stack: str, existing: Mapping[str, ExistingInstance]) -> Login:
    """Return where the stack's instances are. Raises StackError where it has none."""
    stack_login = login_of(stack_file(stack), existing)
    if stack_login is None:
        raise StackError(f"stack {stack}: only instances on AWS can be stopped or replaced from here")
    if not existing:
        raise StackError(f"stack {stack} has no instances; bring it up with `scripts/up {stack}`")
    return stack_login


def pause(stack: str, existing: Mapping[str, ExistingInstance], stack_login: Login) -> None:
    """Stop all instances. Raises PowerError where the purchase option cannot, or one takes too long."""
    power = Power.of(stack_login, lambda line: _say("pausing", line))
    stopped_ids = power.stop([instance.id for instance in existing.values()])
    count = counted(len(stopped_ids), "instance") if stopped_ids else "nothing more"
    print(f"paused     {stack}: stopped {count}; addresses, disks and state are kept")
    print(f"costs      {_PAUSED}")
    print(f"resume     scripts/up {stack}")


def wake(existing: Mapping[str, ExistingInstance], stack_login: Login) -> list[str]:
    """Start what was stopped; return those nodes, of which local disks are empty now.

    Raises PowerError where one does not start.
    """
    power = Power.of(stack_login, lambda line: _say("resuming", line))
    started_ids = power.start([instance.id for instance in existing.values()])
    return sorted(instance.node for instance in existing.values() if instance.id in started_ids)


def gone(existing: Mapping[str, ExistingInstance], stack_login: Login) -> list[ExistingInstance]:
    """Return the instances that ended behind our back: a spot interruption, their lifetime, somebody."""
    living_ids = Power.of(stack_login, _silently).there([instance.id for instance in existing.values()])
    return [instance for instance in existing.values() if instance.id not in living_ids]


def forget(stack: str, instances: Sequence[ExistingInstance]) -> None:
    """Let the state know of instances that are gone, so that `up` makes them anew."""
    names = ", ".join(f"{instance.node} ({instance.id})" for instance in instances)
    _say("missing", f"{names}: ended since the last up; made anew")
    targets = [option for instance in instances for option in ("--target", instance.urn)]
    refresh = ["refresh", "--stack", stack, "--yes", "--skip-preview", *targets]
    engine.run(*refresh, stdout=sys.stderr, check=True)


def explained(path: Path, events: Collection[str]) -> list[str]:
    """Return what to do where a failed `up` wanted capacity that was not there; else nothing."""
    capacity_failures, stack_login = failures(events), login_of(path, {})
    if not capacity_failures or stack_login is None:
        return []
    requirements = requirements_of(plan(read_stack_file(path)))
    return explain(requirements, capacity_failures, zones_of(requirements, stack_login))


def _silently(line: str) -> None:
    del line


def _say(word: str, line: str) -> None:
    print(f"{word:<10} {line}", file=sys.stderr, flush=True)
