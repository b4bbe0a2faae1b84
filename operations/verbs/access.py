"""`scripts/access`: how the instances of a stack on AWS are reached from here."""

from operations import engine
from operations.errors import StackError
from operations.instances import open_access
from operations.verbs.arguments import Stack
from remote.aws_access import folder_of


def access(stack: Stack) -> None:
    """Write how the instances of a stack on AWS are reached from here, as its state says."""
    engine.enter(None)
    write_access(stack)


def write_access(stack: str) -> None:
    """Write how the stack's instances are reached. Raises StackError where it has none."""
    if not open_access(stack, engine.exported(stack)):
        raise StackError(f"stack {stack} has no instances; bring it up with `scripts/up {stack}`")
    print(f"access     {folder_of(stack)}: scripts/node {stack} NODE status --human")
