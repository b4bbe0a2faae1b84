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
    if node_names := _resume(stack):
        return _set_up_woken(stack, node_names)
    stack_state = engine.exported(stack, secrets=True)
    instances.open_access(stack, stack_state)
    return nodes.repair(stack_state)


def _resume(stack: str) -> list[str]:
    """Start what is paused and forget what is gone, so that `up` finds all instances or makes them anew.

    Return the nodes that were started.
    """
    if aws_target(read_stack_file(stack_file(stack))) is None:
        return []
    existing = fleet.existing_instances(engine.exported(stack))
    login = fleet.login_of(stack_file(stack), existing)
    if login is None or not existing:
        return []
    if lost_instances := fleet.gone(existing, login):
        fleet.forget(stack, lost_instances)
    return fleet.wake(
        {name: instance for name, instance in existing.items() if instance not in lost_instances}, login
    )


def _set_up_woken(stack: str, node_names: Sequence[str]) -> int:
    """Set up again the nodes that were started: what was on their local disks is not there any more."""
    stack_state = engine.exported(stack, secrets=True)
    instances.open_access(stack, stack_state)
    aws_access.record_start(aws_access.folder_of(stack), node_names)
    print(
        f"resuming   {', '.join(node_names)}: set up again, local disks are empty",
        file=sys.stderr,
        flush=True,
    )
    existing = nodes.deployed_nodes(stack_state)
    return nodes.set_up([existing[name] for name in node_names if name in existing])
