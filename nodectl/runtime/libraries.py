"""Shared libraries that a machine itself must have: NIXL's wheel lacks those of its LIBFABRIC backend."""

import os
import subprocess
from pathlib import Path
from typing import Final

from nodectl.common import apt, programs
from nodectl.common.errors import BadInputError
from nodectl.common.steps import say

FOLDERS: Final = (Path("/opt/amazon/efa/lib"),)
"""Folders of AWS's EFA installer that the linker does not know of; services are told (LD_LIBRARY_PATH)."""

_PACKAGES: Final = {"libhwloc.so.15": "libhwloc15"}
"""Library -> its package on Debian and Ubuntu, where the distribution's will do."""

_EFA: Final = (
    "AWS's EFA installer has it, its Deep Learning AMI brings it, and without it KV blocks move slowly: "
    "take that image, install EFA in yours, or write `efa: false` below `target`"
)


def ensure(library: str) -> bool:
    """See that `library` is there; root on Debian and the like gets the distribution's package.

    Returns whether it was. Raises `BadInputError`, with the remedy, where it is missing.
    """
    if _is_there(library):
        return True
    package = _PACKAGES.get(library)
    apt_get = programs.look("apt-get")
    if package and apt_get and os.geteuid() == 0:
        apt.install(apt_get, package)
    if not _is_there(library):
        raise BadInputError(
            f"{library} is not on this machine: {f'`apt install {package}`' if package else _EFA}"
        )
    say(f"installed {library}")
    return False


def _is_there(library: str) -> bool:
    if any((folder / library).exists() for folder in FOLDERS):
        return True
    ldconfig = subprocess.run([programs.find("ldconfig"), "-p"], capture_output=True, text=True, check=False)
    return any(line.split()[:1] == [library] for line in ldconfig.stdout.splitlines())
