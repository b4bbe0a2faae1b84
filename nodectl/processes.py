"""Processes of a node that no supervisor owns any more: found by their marker, ended the way services are."""

import contextlib
import os
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import psutil

from nodectl import container, converge, identity, procfs
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
    container.remove(one.container for one in known.values())


def orphans(layout: Layout) -> set[psutil.Process]:
    """Return every process that the node started, its supervisor among them.

    Most carry the node's marker. Others have lost it, since a process that sets its title, as vLLM's engines
    do, overwrites its environment: they share a session and the working folder.
    """
    everything = list(psutil.process_iter())
    marked = {process for process in everything if _is_marked(process, layout)}
    sessions = {identity.supervisor(layout), *map(_session, marked)} - {None}
    return marked | {p for p in everything if _session(p) in sessions and _works_in(p, layout.data)}


def end(found: Collection[psutil.Process], seconds: float) -> None:
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


def ended(found: Collection[psutil.Process], seconds: float) -> bool:
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


def _session(process: psutil.Process) -> int | None:
    found = procfs.process(process.pid)
    return None if found is None else found.session


def _works_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return process.cwd() == str(folder)
    except psutil.Error:
        return False


def _is_marked(process: psutil.Process, layout: Layout) -> bool:
    try:
        return process.environ().get(MARKER) == str(layout.root) and process.pid != os.getpid()
    except psutil.Error:
        return False
