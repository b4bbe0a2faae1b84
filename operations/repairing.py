"""Before an `up`: machines that lost what was set up there get it again, paused ones are started."""

import sys
from collections.abc import Sequence

from operations import engine, fleet, instances, nodes
from planning.aws.target import aws_target
from remote import aws_access
from settings.loader import read_stack_file, stack_file


def repair(stack: str) -> int:
    """Set up again the machines that lost what the last `up` put there, such as one that was re-imaged.

    Return the exit code: 1 where one cannot be set up, which is said.
    """
    if woken := _resume(stack):
        return _set_up_woken(stack, woken)
    exported = engine.exported(stack, secrets=True)
    instances.open_access(stack, exported)
    return nodes.repair(exported)


def _resume(stack: str) -> list[str]:
    """Start what is paused and forget what is gone, so that `up` finds all instances or makes them anew.

    Return the nodes that were started.
    """
    if aws_target(read_stack_file(stack_file(stack))) is None:
        return []
    existing = fleet.existing_instances(engine.exported(stack))
    where = fleet.login_of(stack_file(stack), existing)
    if where is None or not existing:
        return []
    if lost := fleet.gone(existing, where):
        fleet.forget(stack, lost)
    return fleet.wake({name: each for name, each in existing.items() if each not in lost}, where)


def _set_up_woken(stack: str, woken: Sequence[str]) -> int:
    """Set up again the nodes that were started: what was on their local disks is not there any more."""
    exported = engine.exported(stack, secrets=True)
    instances.open_access(stack, exported)
    aws_access.record_start(aws_access.folder_of(stack), woken)
    print(f"resuming   {', '.join(woken)}: set up again, local disks are empty", file=sys.stderr, flush=True)
    existing = nodes.deployed_nodes(exported)
    return nodes.set_up([existing[name] for name in woken if name in existing])
