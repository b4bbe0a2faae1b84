"""One control group per host, in every hierarchy: two systemds in one group would share their slices."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

from nodectl.common.waiting import Moment, NotYetError, Wait
from tools.hostlab.errors import LabError

KILL_SECONDS = 20
"""A killed process ends at once, unless it waits for a disk."""


def make(name: str) -> list[Path]:
    """Create a group; return the files to which a process writes 0 to join it."""
    for folder in _folders(name):
        folder.mkdir(exist_ok=True)
    return [folder / "cgroup.procs" for folder in _folders(name)]


def processes(name: str) -> set[int]:
    """Return the processes of a group and the groups below it; empty if the group does not exist."""
    ids: set[int] = set()
    for group in _groups(name):
        with contextlib.suppress(OSError):  # it went while this looked
            ids.update(map(int, (group / "cgroup.procs").read_text(encoding="ascii").split()))
    return ids


def processor_seconds(name: str) -> float:
    """Return the processor time of a group and the groups below it since its creation, in seconds."""
    for folder in _folders(name):
        with contextlib.suppress(OSError):
            return int((folder / "cpuacct.usage").read_text(encoding="ascii")) / 1e9
        with contextlib.suppress(OSError):  # the one hierarchy of version 2
            usage = dict(map(str.split, (folder / "cpu.stat").read_text(encoding="ascii").splitlines()))
            if "usage_usec" in usage:
                return int(usage["usage_usec"]) / 1e6
    raise LabError(f"{name}: the kernel does not count its processor time")


def kill(name: str) -> None:
    """Kill all processes of a group, and remove the group. Raises LabError if they do not end in time."""

    def empty() -> bool:
        remaining = processes(name)
        for process in remaining:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if remaining:
            raise NotYetError(f"processes {sorted(remaining)} do not end; see what they wait for with ps")
        return True

    def failure(moment: Moment) -> LabError:
        return LabError(f"{name}: {moment.seen}")

    Wait(name, KILL_SECONDS, interval=0.05, failure=failure).until(empty)
    remove(name)


def remove(name: str) -> None:
    """Remove a group without processes."""
    for group in _groups(name):
        with contextlib.suppress(FileNotFoundError):
            group.rmdir()


def _groups(name: str) -> Iterator[Path]:
    """Yield a group's folders in all hierarchies, from the innermost out."""
    for folder in _folders(name):
        for group, _, _ in os.walk(folder, topdown=False):
            yield Path(group)


def _folders(name: str) -> list[Path]:
    """Return the folder of the group `name` in each hierarchy, whether it exists or not.

    Without cpuset: its new groups take no process before they have processors, and systemd does not use it.
    """
    return [
        Path(mount.mountpoint, name)
        for mount in psutil.disk_partitions(all=True)
        if mount.fstype in ("cgroup", "cgroup2") and "cpuset" not in mount.opts.split(",")
    ]
