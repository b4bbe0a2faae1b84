"""nodectl's own code, as it is brought to a host: an archive, named after what is in it."""

import gzip
import hashlib
import io
import tarfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Final

PROJECT: Final = Path(__file__).parents[1]
HOME: Final = "/opt/dynamo-multinode"
"""Folder of the releases on a host."""


@cache
def digest() -> str:
    """Return what changes exactly when nodectl's code or the versions that it installs do."""
    checksum = hashlib.sha256()
    for path in _files():
        content = path.read_bytes()
        checksum.update(f"{path.relative_to(PROJECT)}\0{_mode(path)}\0{len(content)}\0".encode() + content)
    return checksum.hexdigest()[:12]


def program() -> str:
    """Return where the release's launcher is on a host."""
    return f"{HOME}/{digest()}/nodectl/run"


def archive() -> bytes:
    """Return the release as a compressed tar archive: the same bytes for the same code."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in _files():
            entry = tarfile.TarInfo(str(path.relative_to(PROJECT)))
            content = path.read_bytes()
            entry.size, entry.mode = len(content), _mode(path)
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(buffer.getvalue(), compresslevel=1, mtime=0)  # most of it are hashes


def _files() -> Iterator[Path]:
    for path in sorted((PROJECT / "nodectl").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            yield path


def _mode(path: Path) -> int:
    return 0o755 if path.stat().st_mode & 0o100 else 0o644
