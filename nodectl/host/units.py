"""Units of a host that are no services of a node: what keeps its cache, ends its life, watches it."""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from nodectl.common.files import read_if_there, write_atomically
from nodectl.supervisors.systemd import systemctl
from nodectl.supervisors.unitfile import FOLDER, HOST_PREFIX

STAMPS: Final = Path("/run/dynamo-multinode")
"""Remembers, until the next boot, what was seen through to its end: an interrupted change is made again."""


def keep(
    texts: Mapping[str, str], *, start: str | None = None, before: Callable[[], None] | None = None
) -> None:
    """Install units of these names and texts, enabled where they can be, and run `start` as it says.

    Where nothing changed, nothing happens; where something did, `before` is called before the start. Names
    begin with `unitfile.HOST_PREFIX`, by which releases are kept.
    """
    if foreign_names := [name for name in texts if not name.startswith(HOST_PREFIX)]:
        raise ValueError(f"{foreign_names[0]}: units of a host begin with {HOST_PREFIX}")
    stamp = hashlib.sha256(json.dumps(texts, sort_keys=True).encode()).hexdigest()
    unchanged = all(read_if_there(FOLDER / name) == text for name, text in texts.items())
    if unchanged and read_if_there(_stamp(*texts)) == stamp:
        return
    for name, text in texts.items():
        write_atomically(FOLDER / name, text)
    systemctl("daemon-reload")
    systemctl("--quiet", "enable", "--", *(name for name in texts if "\n[Install]\n" in texts[name]))
    if before is not None:
        before()
    if start is not None:  # what it comes after at boot may take minutes
        systemctl("restart", "--no-block", "--", start)
    STAMPS.mkdir(exist_ok=True)
    write_atomically(_stamp(*texts), stamp)


def drop(*names: str) -> bool:
    """Stop units that were kept together, and leave nothing of them; return whether there were any."""
    existing = [name for name in names if (FOLDER / name).exists()]
    if existing:
        systemctl("--quiet", "disable", "--now", "--", *existing, tolerant=True)
        _stamp(*names).unlink(missing_ok=True)
        for name in existing:
            (FOLDER / name).unlink()
        systemctl("daemon-reload")
    return bool(existing)


def _stamp(*names: str) -> Path:
    return STAMPS / f"{min(names)}.kept"
