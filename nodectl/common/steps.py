"""One step of an install after another: a lock for what is made, its log, bounded commands, progress."""

import contextlib
import fcntl
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from nodectl.common.errors import NodectlError, TimedOutError
from nodectl.common.waiting import Moment, Progress, Wait

LIMIT_SECONDS: Final = 3600
"""Bound on a whole install: the GPU variant over a slow line takes tens of minutes."""

_TELL_EVERY: Final = 10.0
_LAST_LINES: Final = 12


def say(text: str) -> None:
    """Tell the user about progress."""
    print(text, file=sys.stderr, flush=True)


class Steps:
    """Runs the commands that make one thing, their output in one log file."""

    def __init__(self, log: Path, lock: int, deadline: float) -> None:
        self._log = log
        self._lock = lock
        self._deadline = deadline
        log.write_bytes(b"")

    def run(
        self,
        command: Sequence[str],
        secrets: Mapping[str, str] | None = None,
        *,
        tell: str = "",
        progress: bool = False,
    ) -> None:
        """Run `command` with `secrets` in its environment; while it takes long, say `tell` now and then.

        With `progress` the last line of its output is said as well. Of a command that ends with
        EX_UNAVAILABLE the last line is all that is told.
        It inherits the lock, so that what a killed nodectl left running is waited for.
        """
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, **(secrets or {})},
                pass_fds=(self._lock,),
            )
            try:
                code = self._ended(process, tell, progress=progress)
            except BaseException as error:
                process.kill()
                process.wait()
                if isinstance(error, subprocess.TimeoutExpired):
                    raise TimedOutError(self._told(command, f"took more than {LIMIT_SECONDS} s")) from error
                raise
        if code == os.EX_UNAVAILABLE:  # by which a script of ours says that its last line says it all
            raise NodectlError(self._lines()[-1])
        if code:
            raise NodectlError(self._told(command, f"exited with {code}"))

    def left(self) -> float:
        """Return how many seconds the install may still take."""
        return max(1.0, self._deadline - time.monotonic())

    def _ended(self, process: "subprocess.Popen[bytes]", tell: str, *, progress: bool) -> int:
        start = time.monotonic()
        while tell:
            with contextlib.suppress(subprocess.TimeoutExpired):
                return process.wait(min(_TELL_EVERY, self.left()))
            if time.monotonic() > self._deadline:
                raise subprocess.TimeoutExpired(process.args, LIMIT_SECONDS)
            last_line = f": {lines[-1]}" if progress and (lines := self._lines()) else ""
            say(f"{tell}{last_line} ({time.monotonic() - start:.0f} s)")
        return process.wait(self.left())

    def _lines(self) -> list[str]:
        return self._log.read_text(encoding="utf-8", errors="replace").splitlines()

    def _told(self, command: Sequence[str], outcome: str) -> str:
        tail = "".join(f"  {line}\n" for line in self._lines()[-_LAST_LINES:])
        operand = next((argument for argument in command[1:] if not argument.startswith("-")), "")
        return f"{Path(command[0]).name} {Path(operand).name}: {outcome}\n{tail}more: cat {self._log}"


@contextlib.contextmanager
def locked(path: Path, deadline: float) -> Iterator[Steps]:
    """Hold the lock of what is made, waiting for whoever holds it; it is free when its holders die."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with lock_file(path).open("w") as lock:
        _acquire(lock.fileno(), path, deadline)
        yield Steps(path.with_name(f".{path.name}.log"), lock.fileno(), deadline)


@contextlib.contextmanager
def locked_now(path: Path) -> Iterator[bool]:
    """Hold the lock of what is made if nobody else does; say whether it is held."""
    with lock_file(path).open("w") as lock:
        try:
            fcntl.flock(lock.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def lock_file(path: Path) -> Path:
    """Return the file whose lock guards `path`; it stays, so that nobody locks another one of that name."""
    return path.with_name(f".{path.name}.lock")


def _acquire(lock: int, path: Path, deadline: float) -> None:
    def tell(moment: Moment) -> None:
        say(f"waiting for another install of {path.name} ({moment.waited:.0f} s)")

    Wait(
        path.name,
        deadline - time.monotonic(),
        progress=Progress(tell, every=_TELL_EVERY),
        pending=(BlockingIOError,),
        failure=lambda _: TimedOutError(f"{path.name}: another install of it takes over {LIMIT_SECONDS} s"),
    ).attempt(lambda: fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB))
