"""Wall time of commands."""

import ctypes
import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

_PR_SET_CHILD_SUBREAPER: Final = 36
"""Of prctl(2): what a command leaves behind becomes a child of this process, which waits for it."""


class Cost(NamedTuple):
    """Cost of a command."""

    seconds: float
    processor: float
    """Seconds of processors, of the command and of all that it started."""


def seconds(
    command: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, stdin: str = ""
) -> float:
    """Return the wall time of a command in seconds. Raises SystemExit with its output if it fails."""
    start = time.perf_counter()
    completed = subprocess.run(
        command, cwd=cwd, env=env, input=stdin, capture_output=True, text=True, check=False
    )
    elapsed = time.perf_counter() - start
    if completed.returncode:
        raise SystemExit(
            f"{command[0]} failed with {completed.returncode}\n{completed.stdout}\n{completed.stderr}"
        )
    return elapsed


def cost(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> Cost:
    """Return what a command takes that must succeed, with processes that it ends and does not wait for."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    before = processor_seconds()
    took = seconds(command, cwd=cwd, env=env)
    while True:
        try:
            os.wait()
        except ChildProcessError:
            return Cost(took, processor_seconds() - before)


def processor_seconds() -> float:
    """Return the processor seconds of all that this process started and waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
