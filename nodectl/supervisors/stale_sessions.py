"""Ends what services that died left behind, such as an engine whose main process was killed."""

import contextlib
import os
import signal
from typing import Final

from nodectl.common import procfs
from nodectl.common.waiting import Wait

_PATIENCE: Final = 10.0
"""Seconds: a killed process that holds a GPU frees its memory first."""


def end_leftovers(session: int) -> set[int]:
    """End the processes of a supervisor's session that belong to no living service; return which.

    Every service is a process group of the session, and its main process the group's leader.
    """
    ended_pids: set[int] = set()

    def none_is_left() -> bool:
        leftovers = _leaderless(session)
        for pid in leftovers:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        ended_pids.update(leftovers)
        return not leftovers

    Wait("the end of leftovers", _PATIENCE, interval=0.05).holds(none_is_left)
    return ended_pids


def _leaderless(session: int) -> set[int]:
    members = [process for process in procfs.processes() if process.session == session]
    return {member.pid for member in members if procfs.process(member.group) is None}
