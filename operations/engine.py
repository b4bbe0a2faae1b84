"""The Pulumi CLI as the verbs run it, in the environment of the stack.

The Automation API is not used for it: its export decrypts every secret, which a stack whose key is lost does
not allow, and each of its calls starts the CLI two or three times.
"""

import json
import os
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final, TextIO

from tools.toolchain import shell

_NO_SUCH_STACK: Final = 6
"""Exit code of the Pulumi CLI when it knows no stack of that name."""


def enter(stack: str | None) -> None:
    """Give this process the environment that `scripts/env` gives to a shell, for one stack or for all.

    Raises ToolchainError.
    """
    environment = shell.environment(os.environ, stack)
    os.environ.clear()
    os.environ.update(environment)


def exported(stack: str, *, secrets: bool = False) -> dict[str, Any] | None:
    """Return the stack as Pulumi keeps it, with its secrets in clear or encrypted; None where there is none.

    Raises CalledProcessError where Pulumi cannot read it.
    """
    export = ["pulumi", "stack", "export", "--stack", stack, *(["--show-secrets"] if secrets else [])]
    completed = subprocess.run(export, capture_output=True, text=True, check=False)
    if completed.returncode == _NO_SUCH_STACK:
        return None
    completed.check_returncode()
    stack_state: dict[str, Any] = json.loads(completed.stdout)
    return stack_state


def run(
    *arguments: str,
    environ: Mapping[str, str] | None = None,
    stdout: TextIO | None = None,
    check: bool = False,
) -> int:
    """Run what changes resources, with a terminal's interrupts left to the CLI, and return its exit code.

    `stdout` is where its output goes in place of ours. With `check`, raises CalledProcessError for another
    exit code than 0.
    """
    with _interrupts_left_to_children():
        command = ["pulumi", *arguments]
        environment = {**os.environ, **(environ or {})}
        return subprocess.run(command, env=environment, stdout=stdout, check=check).returncode


@contextmanager
def _interrupts_left_to_children() -> Iterator[None]:
    """Let an interrupt reach only children, which end in order: the CLI cancels its update."""
    # SIG_IGN would be inherited
    previous_handler = signal.signal(signal.SIGINT, lambda _number, _frame: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous_handler)
