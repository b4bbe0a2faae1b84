"""Processes of a node that no supervisor owns any more: found by their marker, ended the way services are."""

import contextlib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

import psutil

from nodectl.common import procfs, steps
from nodectl.common.layout import MARKER, Layout
from nodectl.common.waiting import Wait
from nodectl.runtime import container
from nodectl.supervisors import identity
from nodectl.supervisors.launch import Launch
from nodectl.supervisors.supervisor import KILL_SECONDS

_LEAST_GRACE: Final = 5
"""Seconds; for a node whose launch files are gone."""


def end_orphans(layout: Layout, launches: Mapping[str, Launch]) -> None:
    """End what a supervisor that is gone left running: it holds the ports of its successors."""
    leftovers = orphans(layout)
    if leftovers:
        steps.say(f"ending {len(leftovers)} processes that their supervisor left")
        end(leftovers, max((launch.stop_seconds for launch in launches.values()), default=_LEAST_GRACE))
    container.remove(launch.container for launch in launches.values())


def orphans(layout: Layout) -> set[psutil.Process]:
    """Return every process that the node started, its supervisor among them.

    Most carry the node's marker. Others have lost it, since a process that sets its title, as vLLM's engines
    do, overwrites its environment: they share a session and the working folder.
    """
    processes = list(psutil.process_iter())
    marked_processes = {process for process in processes if _is_marked(process, layout)}
    sessions = {identity.supervisor(layout), *map(_session, marked_processes)} - {None}
    return marked_processes | {
        candidate
        for candidate in processes
        if _session(candidate) in sessions and _works_in(candidate, layout.data)
    }


def end(processes: Collection[psutil.Process], seconds: float) -> None:
    """End processes: SIGTERM to main processes, SIGKILL to whatever is left after they end or `seconds`."""
    leaders = [process for process in processes if _leads_its_group(process)]
    for process in leaders:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
    ended(leaders, seconds)
    for process in processes:
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    ended(processes, KILL_SECONDS)


def ended(processes: Collection[psutil.Process], seconds: float) -> bool:
    """Wait until all have ended, at most `seconds`; return whether they have."""
    return Wait("the end of processes", seconds, interval=0.05).holds(lambda: not any(map(_lives, processes)))


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
    details = procfs.process(process.pid)
    return None if details is None else details.session


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
