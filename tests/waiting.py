"""Waits for what a test expects to come."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def eventually(look: Callable[[], T | None], *, what: str, seconds: float = 30) -> T:
    """Return what `look` finds, as soon as it finds something true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if result := look():
            return result
        time.sleep(0.05)
    raise AssertionError(f"after {seconds:.0f} s still not: {what}")
