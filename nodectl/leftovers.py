"""Ends what services that died left behind, such as an engine whose main process was killed.

Standard library only: `nodectl wait` does this before every start of every service.
"""

import contextlib
import os
import signal
import time
from typing import Final

from nodectl import procfs

_PATIENCE: Final = 10.0
"""Seconds: a killed process that holds a GPU frees its memory first."""

_POLL: Final = 0.05


def end_leftovers(session: int) -> set[int]:
    """End the processes of a supervisor's session that belong to no living service; return which.

    Every service is a process group of the session, and its main process the group's leader.
    """
    deadline = time.monotonic() + _PATIENCE
    ended: set[int] = set()
    while (left := _leaderless(session)) and time.monotonic() < deadline:
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended |= left
        time.sleep(_POLL)
    return ended


def _leaderless(session: int) -> set[int]:
    members = [one for one in procfs.processes() if one.session == session]
    return {one.pid for one in members if procfs.process(one.group) is None}
