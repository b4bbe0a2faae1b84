"""What tells a node from its successor at the same place.

The identity of a local node lasts as long as its supervisor: after a reboot, or after everything was killed,
the node has a new one, so that the next `up` sets it up again. Standard library only: the Pulumi program
imports this.
"""

import json
import uuid
from pathlib import Path
from typing import Final

from nodectl.files import read_if_there, write_atomically
from nodectl.layout import Layout

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
_AFTER_NAME_STATE: Final = 0
_AFTER_NAME_START: Final = 19  # field 22 of /proc/PID/stat, proc(5)


def local_identity(root: str | Path) -> str:
    """Return the recorded identity of the local node at `root` while its supervisor lives, else a new one."""
    record = _record(Layout.at(root))
    if record is not None and record["boot"] == _boot():
        started = _start_time(record["pid"])
        if started is not None and started == record["started"]:
            return str(record["identity"])
    return uuid.uuid4().hex


def recorded(layout: Layout) -> str | None:
    """Return the identity that the last apply recorded; None when there was none."""
    record = _record(layout)
    return None if record is None else str(record["identity"])


def record(layout: Layout, identity: str, supervisor: int) -> None:
    """Remember that the node is `identity` for as long as the process `supervisor` lives."""
    body = {"identity": identity, "boot": _boot(), "pid": supervisor, "started": _start_time(supervisor)}
    write_atomically(layout.identity, json.dumps(body) + "\n")


def _record(layout: Layout) -> dict[str, object] | None:
    text = read_if_there(layout.identity)
    if text is None:
        return None
    body: dict[str, object] = json.loads(text)
    return body


def _boot() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()


def _start_time(pid: object) -> int | None:
    """Return when the process started, in clock ticks since boot; None when it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()
    return None if fields[_AFTER_NAME_STATE] == "Z" else int(fields[_AFTER_NAME_START])
