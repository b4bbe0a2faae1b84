"""The one set of versions that runs on nodes: a hashed lock file a variant, made by `lock` beside this.

Standard library only: `nodectl install` runs on a bare Python.
"""

import hashlib
from functools import cache
from pathlib import Path


def lock_file(name: str) -> Path:
    """Return the lock of a runtime variant, or of uv."""
    return Path(__file__).with_name(f"{name}.txt")


@cache
def lock_digest(name: str) -> str:
    """Return what changes exactly when the versions in that lock do."""
    return hashlib.sha256(lock_file(name).read_bytes()).hexdigest()[:12]
