"""The identity of a node, which tells it from its successor at the same place.

The identity of a local node lasts as long as its supervisor: after a reboot, or after everything was killed,
the node has a new one, so that the next `up` sets it up again.
"""

import json
import uuid
from pathlib import Path
from typing import Any

from nodectl.common import procfs
from nodectl.common.files import read_if_there, write_atomically
from nodectl.common.layout import Layout


def local_identity(root: str | Path) -> str:
    """Return the recorded identity of the local node at `root` while its supervisor lives, else a new one."""
    layout = Layout.at(root)
    pid = supervisor(layout)
    identity = None if pid is None or procfs.process(pid) is None else recorded(layout)
    return identity or uuid.uuid4().hex


def recorded(layout: Layout) -> str | None:
    """Return the identity that the last apply recorded; None when there was none."""
    record = _record(layout)
    return None if record is None else str(record["identity"])


def supervisor(layout: Layout) -> int | None:
    """Return the node's supervisor in this boot, dead or alive; None when its number is another's by now."""
    record = _record(layout)
    if record is None or record["boot"] != procfs.boot_id():
        return None
    process = procfs.process(record["pid"])
    return int(record["pid"]) if process is None or process.started == record["started"] else None


def record(layout: Layout, identity: str, pid: int) -> None:
    """Remember that the node is `identity` for as long as its supervisor, the process `pid`, lives."""
    process = procfs.process(pid)
    start = None if process is None else process.started
    body = {"identity": identity, "boot": procfs.boot_id(), "pid": pid, "started": start}
    write_atomically(layout.identity, json.dumps(body) + "\n")


def _record(layout: Layout) -> dict[str, Any] | None:
    text = read_if_there(layout.identity)
    if text is None:
        return None
    body: dict[str, Any] = json.loads(text)
    return body
