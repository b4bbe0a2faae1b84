"""A service under a runner of nodectl (`run-registered`, `gang`, `gate`): it ends when the runner does."""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from typing import Any, Final

import psutil

from nodectl.common.layout import Layout
from nodectl.supervisors import launch
from nodectl.supervisors.launch import Launch

_SET_PARENT_DEATH_SIGNAL: Final = 1  # prctl(2)
_SET_CHILD_SUBREAPER: Final = 36
_LIBC: Final = ctypes.CDLL(None)

_KILL_SECONDS: Final = 10.0
"""Seconds that a runner waits for what it killed: less than the supervisor waits for the runner."""


def stop(*_: Any) -> None:
    """Handle SIGTERM in a runner: it ends, and so does its service. A second one is ignored."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    sys.exit(0)


def start(service_launch: Launch, layout: Layout) -> "subprocess.Popen[bytes]":
    """Start the service. The thread that calls this must live as long as the runner, and be its only one."""
    _LIBC.prctl(_SET_CHILD_SUBREAPER, 1)
    return subprocess.Popen(
        launch.command(service_launch),
        env=launch.environment(service_launch, layout, os.environ),
        cwd=layout.data,
        preexec_fn=lambda: _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGKILL),  # noqa: PLW1509 - no threads
    )


def end(service: "subprocess.Popen[bytes]", patience: float) -> None:
    """End the service gracefully, then whatever it leaves: as their subreaper, this process has all of them.

    It may take `patience` seconds; where the supervisor asked for the end, its own patience counts as well.
    """
    service.terminate()
    with contextlib.suppress(subprocess.TimeoutExpired):
        service.wait(patience)
    leftovers = psutil.Process().children(recursive=True)
    for process in leftovers:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(leftovers, timeout=_KILL_SECONDS)
