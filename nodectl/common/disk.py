"""Reports full file systems: the error of a write names a number and no place."""

import errno
import os
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_FULL: Final = (errno.ENOSPC, errno.EDQUOT)
_LEAST: Final = 1 << 20
"""Bytes: with fewer a file system is full, whatever it still says of itself."""


def explained(error: OSError, argv: Iterable[str]) -> str:
    """Return an error of the system in words; where a disk is full, which one and what to do."""
    if error.errno not in _FULL:
        return str(error)
    argument_paths = [word.removeprefix("--root=") for word in argv if word.startswith(("/", "--root=/"))]
    error_paths = [error.filename] if isinstance(error.filename, str) else []
    messages = shortages(
        [*map(Path, error_paths), *map(Path, argument_paths), Path.home(), Path(tempfile.gettempdir())]
    )
    cause = "; ".join(messages) or f"{error.filename or 'where it was written'}: the quota is used up"
    return f"no space left on device: {cause}; free some and run it again"


def shortages(paths: Iterable[Path]) -> list[str]:
    """Return the file systems of these paths that have no room for more data or files, once each."""
    messages: dict[int, str] = {}
    for path in paths:
        existing = next((candidate for candidate in (path, *path.parents) if candidate.exists()), Path("/"))
        usage, files = shutil.disk_usage(existing), os.statvfs(existing)
        if usage.total and usage.free < _LEAST:
            room = f"{usage.free >> 20:,} MiB free of {usage.total >> 20:,}"
        elif files.f_files and not files.f_favail:
            room = f"no more files, {files.f_files:,} are there"
        else:
            continue
        messages.setdefault(existing.stat().st_dev, f"the file system of {path} is full ({room})")
    return list(messages.values())
