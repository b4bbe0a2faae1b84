"""One control group a host, in every hierarchy: two systemds in one group would share their slices."""

import contextlib
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import psutil

from nodectl.common.waiting import Moment, NotYetError, Wait
from tools.hostlab.errors import LabError

KILL_SECONDS = 20
"""A killed process is gone at once, unless it waits for a disk."""


def make(name: str) -> list[Path]:
    """Make a group; return the files by which a process joins it, by writing 0 to each."""
    for folder in _folders(name):
        folder.mkdir(exist_ok=True)
    return [folder / "cgroup.procs" for folder in _folders(name)]


def processes(name: str) -> set[int]:
    """Return the processes of a group and of the groups below it; none when there is no such group."""
    found: set[int] = set()
    for group in _groups(name):
        with contextlib.suppress(OSError):  # it went while this looked
            found.update(map(int, (group / "cgroup.procs").read_text(encoding="ascii").split()))
    return found


def processor_seconds(name: str) -> float:
    """Return the processor time that a group and the groups below it took since it was made."""
    for folder in _folders(name):
        with contextlib.suppress(OSError):
            return int((folder / "cpuacct.usage").read_text(encoding="ascii")) / 1e9
        with contextlib.suppress(OSError):  # the one hierarchy of version 2
            usage = dict(map(str.split, (folder / "cpu.stat").read_text(encoding="ascii").splitlines()))
            if "usage_usec" in usage:
                return int(usage["usage_usec"]) / 1e6
    raise LabError(f"{name}: the kernel does not count its processor time")


def kill(name: str) -> None:
    """End all processes of a group at once, and the group with them."""

    def empty() -> bool:
        left = processes(name)
        for process in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if left:
            raise NotYetError(f"processes {sorted(left)} do not end; see what they wait for with ps")
        return True

    def failure(moment: Moment) -> LabError:
        return LabError(f"{name}: {moment.seen}")

    Wait(name, KILL_SECONDS, interval=0.05, failure=failure).until(empty)
    remove(name)


def remove(name: str) -> None:
    """Remove a group that has no processes any more."""
    for group in _groups(name):
        with contextlib.suppress(FileNotFoundError):
            group.rmdir()


def _groups(name: str) -> Iterator[Path]:
    """Go through a group of all hierarchies, from the innermost out."""
    for folder in _folders(name):
        for group, _, _ in os.walk(folder, topdown=False):
            yield Path(group)


def _folders(name: str) -> list[Path]:
    """Return where the group `name` is, or would be, in each hierarchy.

    Without cpuset: its new groups take no process before they have processors, and systemd does not use it.
    """
    return [
        Path(mount.mountpoint, name)
        for mount in psutil.disk_partitions(all=True)
        if mount.fstype in ("cgroup", "cgroup2") and "cpuset" not in mount.opts.split(",")
    ]
