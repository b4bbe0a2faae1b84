"""`scripts/pause`: the instances of a stack on AWS, stopped."""

from operations import engine, fleet
from operations.verbs.arguments import Stack


def pause(stack: Stack) -> None:
    """Stop the instances of a stack on AWS, and keep network, addresses, disks and state.

    `scripts/up STACK` starts them again. See docs/account.md.
    """
    engine.enter(stack)
    stop_all(stack)


def stop_all(stack: str) -> None:
    """Stop the stack's instances. Raises StackError where it has none, PowerError where one does not stop."""
    existing = fleet.existing_instances(engine.exported(stack))
    fleet.pause(stack, existing, fleet.where_they_are(stack, existing))
