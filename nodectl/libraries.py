"""Shared libraries that a runtime needs of the system, since no wheel carries them.

Standard library only: it is asked before an install.
"""

import ctypes
from collections.abc import Mapping
from typing import Final

from nodectl.errors import NodectlError

NEEDED: Final[Mapping[str, Mapping[str, str]]] = {"cpu": {"libnuma.so.1": "libnuma1"}}
"""Variant -> file of the library -> Debian's package of it. vLLM's CPU kernels do not load without libnuma."""


def check(variant: str) -> None:
    """Raise NodectlError with what to install where a library is missing."""
    missing = {file: package for file, package in NEEDED.get(variant, {}).items() if not _there(file)}
    if missing:
        raise NodectlError(
            f"the {variant} runtime needs {', '.join(missing)}, which this machine does not have: "
            f"install {' '.join(missing.values())} (Debian's name)"
        )


def _there(file: str) -> bool:
    try:
        ctypes.CDLL(file)
    except OSError:
        return False
    return True
