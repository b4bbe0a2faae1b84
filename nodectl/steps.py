"""The commands of an install: run one after another under a lock, their output kept, the whole bounded.

Standard library only.
"""

import contextlib
import fcntl
import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from nodectl.converge import say
from nodectl.errors import NodectlError, TimedOutError

LIMIT_SECONDS: Final = 3600
"""Bound on a whole install: the GPU variant over a slow line takes tens of minutes."""


class Steps:
    """Runs the commands of one install, their output in one log file."""

    def __init__(self, log: Path, lock: int, deadline: float) -> None:
        self._log = log
        self._lock = lock
        self._deadline = deadline
        log.write_bytes(b"")

    def run(self, command: Sequence[str], secrets: Mapping[str, str] | None = None) -> None:
        """Run `command` with `secrets` in its environment.

        It inherits the lock, so that what a killed nodectl left running is waited for.
        """
        try:
            with self._log.open("ab") as log:
                subprocess.run(
                    command,
                    check=True,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    env={**os.environ, **(secrets or {})},
                    pass_fds=(self._lock,),
                    timeout=max(1, self._deadline - time.monotonic()),
                )
        except subprocess.TimeoutExpired as error:
            raise TimedOutError(self._told(command, f"took more than {LIMIT_SECONDS} s")) from error
        except subprocess.CalledProcessError as error:
            raise NodectlError(self._told(command, f"exited with {error.returncode}")) from error

    def _told(self, command: Sequence[str], what: str) -> str:
        lines = self._log.read_text(encoding="utf-8", errors="replace").splitlines()
        tail = "".join(f"  {line}\n" for line in lines[-12:])
        return f"{Path(command[0]).name} {command[1]}: {what}\n{tail}more: cat {self._log}"


@contextlib.contextmanager
def locked(folder: Path, deadline: float) -> Iterator[Steps]:
    """Hold the lock of `folder`, waiting for whoever holds it; the system frees it when its holders die."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_name(f".{folder.name}.lock").open("w") as lock:
        _acquire(lock.fileno(), folder, deadline)
        yield Steps(folder.with_name(f".{folder.name}.log"), lock.fileno(), deadline)


def _acquire(lock: int, folder: Path, deadline: float) -> None:
    started = time.monotonic()
    say_at = started
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        now = time.monotonic()
        if now > deadline:
            raise TimedOutError(f"{folder.name}: another install of it takes over {LIMIT_SECONDS} s")
        if now >= say_at:
            say_at = now + 10
            say(f"waiting for another install of {folder.name} ({now - started:.0f} s)")
        time.sleep(0.1)
