"""After an `up` that failed: why, and what runs now and costs."""

import contextlib
import sys
from pathlib import Path

from operations import engine, fleet, instances, nodes
from operations.errors import StackError
from operations.running import running
from operations.state import EncryptedError
from planning.aws.target import aws_target
from settings.loader import read_stack_file, stack_file


def explain(stack: str, events: Path) -> None:
    """Say why an `up` failed: what EC2 had no capacity for, and what logs on other machines say; what runs.

    `events` is the event log of the engine. Logs of local nodes are in the engine's own output.
    """
    with events.open(encoding="utf-8") as log:
        for line in fleet.explained(stack_file(stack), list(log)):
            print(line, file=sys.stderr)
    with contextlib.suppress(EncryptedError, StackError):
        stack_state = engine.exported(stack, secrets=True)
        instances.open_access(stack, stack_state)
        for text in nodes.failing_logs(stack_state):
            print(text, file=sys.stderr)
    costs(stack)


def costs(stack: str) -> None:
    """Say what the stack runs on AWS at the moment, what that costs an hour, and how it ends."""
    if aws_target(read_stack_file(stack_file(stack))):
        for line in running(stack, stack_file(stack), engine.exported(stack)):
            print(line, file=sys.stderr)
