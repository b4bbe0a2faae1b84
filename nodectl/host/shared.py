"""State that the nodes of a host share: folders that services may write in, the services' user, releases.

One nodectl at a time does any of this, whichever node it works on. Services can write
in `data` and `home` of their node alone, and root follows no path below those: a service could have planted
links there.
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from nodectl.common.layout import HOST_ROOTS, Layout
from nodectl.host import lifetime, release_collection, units
from nodectl.supervisors import service_user
from nodectl.supervisors.unitfile import CACHE_UNIT, FOLDER


def prepare(layout: Layout) -> None:
    """Make the services' user and the node's folders: services read most and write in two."""
    with alone():
        user = service_user.ensure()
        release_collection.share()
        layout.root.parent.mkdir(parents=True, exist_ok=True)
        _make(layout.root, 0o750, 0, user.group)
        for folder in (layout.launches, layout.secrets):
            _make(folder, 0o2750, 0, user.group)  # files in it are the group's
        for folder in (layout.data, layout.home):
            _make(folder, 0o700, user.number, user.group)


def tidy() -> None:
    """Remove the releases of nodectl that nothing uses any more."""
    with alone():
        release_collection.collect()


def leave(layout: Layout) -> None:
    """Remove what the node at `layout`, whose folder is gone, was the last one to need."""
    with alone():
        _remove_if_empty(layout.root.parent)
        roots = HOST_ROOTS.resolve()
        if roots.is_dir() and any(roots.iterdir()):
            release_collection.collect(leaving=True)
            return
        _remove_if_empty(roots)
        units.drop(CACHE_UNIT)
        lifetime.keep(None)
        service_user.remove()
        release_collection.collect(leaving=True, nodes=False)


def _make(folder: Path, mode: int, owner: int, group: int) -> None:
    """Make a folder what it must be; its own parent is root's, so nobody can have put a link in its place."""
    folder.mkdir(mode=0o700, exist_ok=True)
    os.chown(folder, owner, group, follow_symlinks=False)
    folder.chmod(mode)


def _remove_if_empty(folder: Path) -> None:
    with contextlib.suppress(OSError):
        folder.rmdir()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Hold off other nodectls that do the same; the folder of units is always there to be locked."""
    folder = os.open(FOLDER, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
