"""Processes of a node that no supervisor owns any more: found by their marker, ended the way services are."""

import contextlib
import os
import time
from collections.abc import Mapping, Sequence
from typing import Final

import psutil

from nodectl import converge
from nodectl.launch import Launch
from nodectl.layout import MARKER, Layout

_LEAST_GRACE: Final = 5
"""Seconds; for a node whose launch files are gone."""

_KILL_SECONDS: Final = 15.0
_POLL: Final = 0.05


def end_orphans(layout: Layout, known: Mapping[str, Launch]) -> None:
    """End what a supervisor that is gone left running: it holds the ports of its successors."""
    found = orphans(layout)
    if found:
        converge.say(f"ending {len(found)} processes that their supervisor left")
        end(found, max((one.stop_seconds for one in known.values()), default=_LEAST_GRACE))


def orphans(layout: Layout) -> list[psutil.Process]:
    """Return every process that the node started, its supervisor among them."""
    return [process for process in psutil.process_iter() if _is_marked(process, layout)]


def end(found: Sequence[psutil.Process], seconds: float) -> None:
    """End processes: SIGTERM to main processes, SIGKILL to whatever is left after they end or `seconds`."""
    main = [process for process in found if _leads_its_group(process)]
    for process in main:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    ended(main, seconds)
    for process in found:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    ended(found, _KILL_SECONDS)


def ended(found: Sequence[psutil.Process], seconds: float) -> bool:
    """Wait until all have ended, at most `seconds`; return whether they have."""
    deadline = time.monotonic() + seconds
    while any(map(_lives, found)):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True


def _lives(process: psutil.Process) -> bool:
    """Return whether the process does; one that only waits to be collected by its parent does not."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _leads_its_group(process: psutil.Process) -> bool:
    try:
        return os.getpgid(process.pid) == process.pid
    except ProcessLookupError:
        return False


def _is_marked(process: psutil.Process, layout: Layout) -> bool:
    try:
        return process.environ().get(MARKER) == str(layout.root) and process.pid != os.getpid()
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
