"""`scripts/replace`: the instance of one node of a stack on AWS, made anew."""

from typing import Annotated

import typer

from operations import engine, fleet
from operations.errors import StackError
from operations.verbs.arguments import Stack
from operations.verbs.up import bring_up


def replace(
    stack: Stack, node: Annotated[str, typer.Argument(metavar="NODE", help="Name of the node.")]
) -> int:
    """Replace the instance of one node of a stack on AWS, and set it up again.

    Everything else stays, or converges as with `scripts/up`. See docs/account.md.
    """
    engine.enter(stack)
    urn = instance_of(stack, node)
    return bring_up(stack, [] if urn is None else ["--replace", urn])


def instance_of(stack: str, node: str) -> str | None:
    """Return the URN of a node's instance; None where the instance is gone, which state is told of.

    Raises StackError where the stack has no such node.
    """
    existing = fleet.existing_instances(engine.exported(stack))
    login = fleet.where_they_are(stack, existing)
    if node not in existing:
        raise StackError(f"stack {stack} has no node {node}; it has {', '.join(existing)}")
    if lost_instances := [instance for instance in fleet.gone(existing, login) if instance.node == node]:
        fleet.forget(stack, lost_instances)  # then `up` makes it anew
        return None
    return existing[node].urn
