"""Programs that a machine itself must have, since no package index carries them.

Standard library only: `nodectl install` runs on a bare Python.
"""

import os
import shutil
import subprocess
import sys
from typing import Final

from nodectl.errors import BadInputError, NodectlError

_FOLDERS: Final = ("/usr/local/sbin", "/usr/sbin", "/sbin")
"""Where such programs lie that an ordinary user's PATH does not name."""

_PACKAGES: Final = {"nft": "nftables"}
"""Program -> its package, where that has another name."""

_INSTALL_SECONDS: Final = 300


def find(program: str) -> str:
    """Return the path of `program`. Raises `BadInputError`, with the remedy, where there is none."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), *_FOLDERS])
    found = shutil.which(program, path=path)
    if found is None:
        raise BadInputError(
            f"{program} is not on this machine: `apt install {_PACKAGES.get(program, program)}`, "
            f"or the same of another distribution"
        )
    return found


def ensure(program: str) -> None:
    """See that `program` is there; root on Debian and the like gets the distribution's package.

    Raises `BadInputError` where it is missing and this may not install it, `NodectlError` where apt fails.
    """
    try:
        find(program)
    except BadInputError:
        apt = shutil.which("apt-get")
        if os.geteuid() != 0 or apt is None:
            raise
        _install(apt, _PACKAGES.get(program, program))


def _install(apt: str, package: str) -> None:
    print(f"installing the package {package}", file=sys.stderr, flush=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = [apt, "install", "-y", "-qq", "--no-install-recommends", package]
    try:
        done = subprocess.run(
            command,
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_INSTALL_SECONDS,
        )
    except subprocess.TimeoutExpired as error:
        raise NodectlError(f"apt-get install {package}: took more than {_INSTALL_SECONDS} s") from error
    if done.returncode:
        last = " ".join(done.stderr.split()[-40:])
        raise NodectlError(f"apt-get install {package} failed; install {package} yourself: {last}")
    if systemctl := shutil.which("systemctl"):  # the package starts a service of its own
        subprocess.run(
            [systemctl, "disable", "--now", f"{package}.service"], capture_output=True, check=False
        )
