"""Collects the environments that no node uses any more; the newest stay, for a way back.

An environment is in use when the manifest of a node of this machine names it, or a process was started from
it. Which nodes there are is remembered in the cache, one file a node: their folders may lie anywhere. What
was asked for a short while ago is left alone: an apply may be about to use it.
"""

import contextlib
import hashlib
import json
import math
import re
import shutil
import time
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final

from nodectl.common import procfs, steps
from nodectl.common.files import read_if_there, write_atomically
from nodectl.common.layout import Layout
from nodectl.runtime import cache

KEPT: Final = 2
"""Number of environments that stay although nobody uses them."""

_ENVIRONMENT: Final = re.compile(r"(node|mocker|cpu|gpu)-py3\.[0-9]+-[0-9a-f]{12}")
_UNTOUCHED_SECONDS: Final = steps.LIMIT_SECONDS


def record(layout: Layout, environment: Path) -> None:
    """Remember that the manifest of this node uses `environment`, and no other any more."""
    folder = _nodes()
    folder.mkdir(parents=True, exist_ok=True)
    name = hashlib.sha256(str(layout.root).encode()).hexdigest()[:16]
    text = json.dumps({"root": str(layout.root), "environment": environment.name})
    write_atomically(folder / f"{name}.json", text)


def collect() -> list[str]:
    """Remove what nobody uses but the newest; return the names of what was removed."""
    unused = [path for path in _environments() if path.name not in _recorded()]
    unused.sort(key=_asked_for, reverse=True)
    limit = time.time() - _UNTOUCHED_SECONDS
    candidates = [path for path in unused[KEPT:] if _asked_for(path) < limit]
    open_by_processes = _opened(candidates)
    return [path.name for path in candidates if path not in open_by_processes and _remove(path, limit)]


def _nodes() -> Path:
    return cache.folder() / "nodes"


def _environments() -> list[Path]:
    """Return the environments of this project; a link leads to somebody else's."""
    folder = cache.environments()
    if not folder.is_dir():
        return []
    return [
        path
        for path in folder.iterdir()
        if _ENVIRONMENT.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
    ]


def _recorded() -> set[str]:
    """Return the environments of the nodes that there are; a node without a manifest is forgotten."""
    names = set()
    for file in _nodes().glob("*.json"):
        node = json.loads(read_if_there(file) or "{}")
        if "root" in node and Layout.at(node["root"]).manifest.exists():
            names.add(node["environment"])
        else:
            file.unlink(missing_ok=True)
    return names


def _asked_for(environment: Path) -> float:
    """Return when an install last found or made the environment, in seconds since the epoch.

    One that somebody else removes meanwhile counts as asked for.
    """
    for path in (cache.marker(environment), environment):
        with contextlib.suppress(FileNotFoundError):
            return path.stat().st_mtime
    return math.inf


def _opened(candidates: Collection[Path]) -> set[Path]:
    """Return those of which a process was started or has a file mapped."""
    paths: set[Path] = set()
    for text in _processes() if candidates else ():
        paths |= {path for path in candidates if f"{path}/".encode() in text}
    return paths


def _processes() -> Iterator[bytes]:
    """Go through what is known of every process: its arguments and the files that it maps."""
    for pid in procfs.pids():
        for file in ("cmdline", "maps"):
            yield procfs.content(pid, file)


def _remove(environment: Path, limit: float) -> bool:
    """Remove an environment unless an install holds it, or asked for it just now; return whether it did."""
    trash = environment.with_name(f".{environment.name}.gone")
    try:
        with steps.locked_now(environment) as has_lock:
            if not has_lock:
                return False
            shutil.rmtree(trash, ignore_errors=True)
            environment.rename(trash)
            if _asked_for(trash) >= limit:
                trash.rename(environment)
                return False
            shutil.rmtree(trash)
    except OSError:  # a cache that is only readable
        return False
    return True
