"""The releases of nodectl on a host, `/opt/dynamo-multinode/DIGEST/nodectl`: those that nothing uses go."""

import contextlib
import re
import shutil
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from nodectl.common import procfs
from nodectl.common.layout import CODE
from nodectl.supervisors.unitfile import host_units, unit_files

FOLDER: Final = Path("/opt/dynamo-multinode")

_SETTLED_SECONDS: Final = 3600
"""A release that is younger may have been put there for an `up` that is about to use it."""

_LEAVING: Final = re.compile(rb"\0nodectl(\.enter\0[^\0]*)?\0(remove|forget)\0")
"""In a process's arguments: verbs that are done with the host, which what they run from need not outlive."""


def share() -> None:
    """Let the services' user read this release, with whatever modes it was put here."""
    if CODE.parent == FOLDER.resolve():
        for path in (CODE.parent, CODE, *CODE.rglob("*")):
            mode = path.stat().st_mode
            permissions = 0o055 if mode & stat.S_IXUSR else 0o044
            if mode & permissions != permissions:
                path.chmod(stat.S_IMODE(mode) | permissions)


def collect(*, leaving: bool = False, nodes: bool = True) -> None:
    """Remove the releases that no unit names and no process runs.

    The one that runs this goes only when it is `leaving`. Without `nodes` on the host, young ones go as well.
    """
    if CODE.parent != FOLDER.resolve() or not FOLDER.is_dir():
        return  # this runs from somewhere else, such as a checkout
    releases_in_use = {*_named(), *_running(), *([] if leaving else [CODE])}
    for release in FOLDER.resolve().iterdir():
        if release not in releases_in_use and (not nodes or release == CODE or _is_settled(release)):
            shutil.rmtree(release, ignore_errors=True)
    with contextlib.suppress(OSError):
        FOLDER.rmdir()


def _is_settled(release: Path) -> bool:
    return time.time() - release.lstat().st_ctime > _SETTLED_SECONDS


def _named() -> Iterator[Path]:
    """Yield the releases that units start services from."""
    texts = [unit.read_text(encoding="utf-8") for units in (unit_files(), host_units()) for unit in units]
    yield from (
        release for release in FOLDER.resolve().iterdir() if any(str(release) in text for text in texts)
    )


def _running() -> Iterator[Path]:
    """Yield the releases that other processes import nodectl from."""
    for pid in procfs.pids():
        path = procfs.variable(pid, "PYTHONPATH")
        if path is not None and not _LEAVING.search(procfs.content(pid, "cmdline")):
            yield Path(path)
