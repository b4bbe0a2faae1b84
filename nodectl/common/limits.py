"""Limit on the files that a service may have open: every connection is one, and shells and docker give 1,024.

Set where services start, so that all runtimes have the same: units and local nodes (`nodectl wait`),
containers.
"""

import contextlib
import resource
from typing import Final

from nodectl.common import procfs

OPEN_FILES: Final = 1_048_576
"""As many as Linux lets a process have by default (fs.nr_open)."""

FEW: Final = 65_536
"""Fewer than this are worth a word: each request takes several at once."""


def most() -> int:
    """Return how many open files this machine lets any process have, up to `OPEN_FILES`."""
    with contextlib.suppress(OSError, ValueError):
        return min(OPEN_FILES, procfs.open_files_limit())
    return OPEN_FILES


def raise_open_files() -> int:
    """Let this process, and what it becomes, have as many open files as it may; return how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for number in (most(), hard if hard != resource.RLIM_INFINITY else most()):
        with contextlib.suppress(OSError, ValueError):  # only root raises the hard limit
            resource.setrlimit(resource.RLIMIT_NOFILE, (number, max(number, hard)))
            break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
