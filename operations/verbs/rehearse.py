"""`scripts/rehearse`: any stack's topology on this machine, as a stack of its own."""

from typing import Final

import yaml

from operations.verbs.arguments import Stack
from operations.verbs.up import bring_up
from planning.rehearsal import rehearsal
from settings.loader import read_stack_file, stack_file
from tools.toolchain.shell import SALT

REHEARSAL: Final = "rehearse-"


def rehearse(stack: Stack) -> int:
    """Run any stack's whole topology on this machine with simulated engines.

    The rehearsal is a stack of its own, rehearse-STACK; `scripts/down rehearse-STACK` takes it down.
    """
    write_rehearsal(stack)
    return bring_up(REHEARSAL + stack)


def write_rehearsal(stack: str) -> None:
    """Write the stack file of the rehearsal of `stack`. Raises StackFileError."""
    document = {"encryptionsalt": SALT, "config": rehearsal(read_stack_file(stack_file(stack)))}
    stack_file(REHEARSAL + stack).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
