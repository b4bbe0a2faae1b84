"""What tells a node from its successor at the same place.

The identity of a local node lasts as long as its supervisor: after a reboot, or after everything was killed,
the node has a new one, so that the next `up` sets it up again. Standard library only: the Pulumi program
imports this.
"""

import json
import uuid
from pathlib import Path
from typing import Any, Final

from nodectl import procfs
from nodectl.files import read_if_there, write_atomically
from nodectl.layout import Layout

_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def local_identity(root: str | Path) -> str:
    """Return the recorded identity of the local node at `root` while its supervisor lives, else a new one."""
    layout = Layout.at(root)
    pid = supervisor(layout)
    kept = None if pid is None or procfs.process(pid) is None else recorded(layout)
    return kept or uuid.uuid4().hex


def recorded(layout: Layout) -> str | None:
    """Return the identity that the last apply recorded; None when there was none."""
    record = _record(layout)
    return None if record is None else str(record["identity"])


def supervisor(layout: Layout) -> int | None:
    """Return the node's supervisor in this boot, dead or alive; None when its number is another's by now."""
    record = _record(layout)
    if record is None or record["boot"] != _boot():
        return None
    found = procfs.process(record["pid"])
    return int(record["pid"]) if found is None or found.started == record["started"] else None


def record(layout: Layout, identity: str, pid: int) -> None:
    """Remember that the node is `identity` for as long as its supervisor, the process `pid`, lives."""
    found = procfs.process(pid)
    started = None if found is None else found.started
    body = {"identity": identity, "boot": _boot(), "pid": pid, "started": started}
    write_atomically(layout.identity, json.dumps(body) + "\n")


def _record(layout: Layout) -> dict[str, Any] | None:
    text = read_if_there(layout.identity)
    if text is None:
        return None
    body: dict[str, Any] = json.loads(text)
    return body


def _boot() -> str:
    return _BOOT_ID.read_text(encoding="ascii").strip()
