"""One nodectl at a time changes a node; a second one waits and then finds the first one's work."""

import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from nodectl.common.errors import BadInputError, TimedOutError
from nodectl.common.layout import Layout
from nodectl.common.waiting import Moment, NotYetError, Progress, Wait

PATIENCE: Final = 600.0
"""Seconds; stopping services may take their stop time (75 s and more) in two waves."""


@contextmanager
def locked(layout: Layout) -> Iterator[None]:
    """Hold the node's lock, making its root if need be. A killed holder's lock is free.

    Raises `BadInputError` for a folder that is no node's, and `TimedOutError` when another holder keeps the
    lock for `PATIENCE` seconds.
    """
    _refuse_strangers(layout)
    descriptor = _acquire(layout)
    try:
        yield
    finally:
        os.close(descriptor)


def _acquire(layout: Layout) -> int:
    def acquired() -> int:
        layout.root.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(layout.lock, os.O_RDWR | os.O_CREAT, 0o600)
        if _take(descriptor) and _still_there(layout, descriptor):
            return descriptor
        os.close(descriptor)
        raise NotYetError

    def tell(_: Moment) -> None:
        print("waiting for another nodectl that works on this node", file=sys.stderr, flush=True)

    message = f"{layout.root}: another nodectl still works on this node after {PATIENCE:.0f} s"
    return Wait(
        "lock",
        PATIENCE,
        progress=Progress(tell),
        pending=(FileNotFoundError,),  # a `remove` takes the folder, or the one above, away meanwhile
        failure=lambda _: TimedOutError(message),
    ).attempt(acquired)


def _refuse_strangers(layout: Layout) -> None:
    """Keep off a folder that holds something else: `nodectl remove` takes all of a node's away."""
    if layout.launches.is_dir() or not layout.root.is_dir():
        return
    if any(entry != layout.lock for entry in layout.root.iterdir()):
        raise BadInputError(
            f"--root: {layout.root} holds something else than a node; name a folder of its own"
        )


def _take(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _still_there(layout: Layout, descriptor: int) -> bool:
    """Return whether the lock is still the node's: `remove` takes the whole folder away while it holds it."""
    try:
        return os.path.samestat(os.fstat(descriptor), layout.lock.stat())
    except FileNotFoundError:
        return False
