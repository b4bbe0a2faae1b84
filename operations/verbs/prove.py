"""`scripts/prove`: a running stack proved again."""

import shlex
import subprocess
from collections.abc import Mapping
from typing import Any

from operations import engine, instances
from operations.errors import StackError
from operations.state import Proved, proved
from operations.verbs.arguments import Stack


def prove(stack: Stack = "local") -> int:
    """Prove a running stack again, live, against what was last deployed.

    Nothing is changed by it.
    """
    engine.enter(stack)
    return prove_again(stack, engine.exported(stack))


def prove_again(stack: str, stack_state: Mapping[str, Any] | None) -> int:
    """Prove an exported stack again; return the exit code of the proof. Raises StackError without one."""
    record = last_proof(stack, stack_state)
    instances.open_access(stack, stack_state)
    proof = [*shlex.split(record.command), "--no-retire", "--human"]
    return subprocess.run(proof, input=record.spec, text=True, check=False).returncode


def last_proof(stack: str, stack_state: Mapping[str, Any] | None) -> Proved:
    """Return what the stack's last `up` proved. Raises StackError when that was nothing."""
    record = proved(stack_state)
    if record is None:
        raise StackError(f"stack {stack}: nothing was proved yet; bring it up with `scripts/up {stack}`")
    return record
