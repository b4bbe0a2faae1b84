"""Programs that a machine itself must have, since no package index carries them."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from typing import Final

from nodectl.common import apt
from nodectl.common.errors import BadInputError, NodectlError

_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Folders of such programs that an ordinary user's PATH does not name."""

_PACKAGES: Final = {"blkid": "util-linux", "etcd": "etcd-server", "mkfs.ext4": "e2fsprogs", "nft": "nftables"}
"""Program -> its package on Debian, where that has another name."""

_DISABLE_SECONDS: Final = 300

_COMPLAINT: Final = 1000
"""Characters of a program's complaint that are shown: its first ones."""


def find(program: str) -> str:
    """Return the path of `program`. Raises `BadInputError`, with the remedy, where there is none."""
    path = look(program)
    if path is None:
        raise BadInputError(
            f"{program} is not on this machine: `apt install {_PACKAGES.get(program, program)}`, "
            "or the same of another distribution"
        )
    return path


def look(program: str) -> str | None:
    """Return the path of `program`, None where there is none."""
    return shutil.which(program, path=os.pathsep.join([os.environ.get("PATH", os.defpath), *_FOLDERS]))


def ensure(program: str) -> bool:
    """See that `program` is there; root on Debian and the like gets the distribution's package.

    Returns whether it was. Raises `BadInputError` where it is missing and this may not install it,
    `NodectlError` where apt fails.
    """
    if look(program) is not None:
        return True
    apt_get = look("apt-get")
    if os.geteuid() == 0 and apt_get is not None:
        package = _PACKAGES.get(program, program)
        apt.install(apt_get, package)
        for unit in {package, program}:  # the package starts a service of its own
            if systemctl := look("systemctl"):
                call([systemctl, "disable", "--now", f"{unit}.service"], _DISABLE_SECONDS)
    find(program)
    return False


def call(
    command: Sequence[str], seconds: float, *, stdin: str = "", env: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a command, whatever its exit code. Raises `NodectlError` where it takes longer than `seconds`."""
    try:
        return subprocess.run(
            command, input=stdin, env=env, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NodectlError(f"{' '.join(command)}: took more than {seconds} s") from error


def run(command: Sequence[str], seconds: float, *, stdin: str = "") -> None:
    """Run a command that has to succeed. Raises `NodectlError`, with what it complained of."""
    result = call(command, seconds, stdin=stdin)
    if result.returncode:
        complaint = result.stderr.strip()[:_COMPLAINT]
        raise NodectlError(f"{' '.join(command)} failed with {result.returncode}: {complaint}")
