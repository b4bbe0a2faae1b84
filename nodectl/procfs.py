"""What /proc says about a process, for code that has nothing but the standard library."""

from pathlib import Path
from typing import NamedTuple


class Process(NamedTuple):
    """A living process. `started`, in clock ticks since boot, and the pid name it for good."""

    pid: int
    group: int
    session: int
    started: int


def process(pid: int) -> Process | None:
    """Return the process; None when it has ended, even if its parent has not collected it yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # proc(5): the state, field 3, and what follows
    if fields[0] == "Z":
        return None
    return Process(pid, group=int(fields[2]), session=int(fields[3]), started=int(fields[19]))


def processes() -> list[Process]:
    """Return every living process of the machine."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [found for pid in pids if (found := process(pid))]
