"""Packages of Debian and Ubuntu, installed beside what a machine does right after its boot.

cloud-init and unattended-upgrades use apt then as well. Of apt's locks only dpkg's knows a time limit: one of
the lists or of the archives fails at once, so it is tried again.
"""

import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from functools import cache
from typing import Final

from nodectl.common.errors import NodectlError
from nodectl.common.steps import say
from nodectl.common.waiting import Moment, Progress, Wait

LOCK_SECONDS: Final = 600
"""Seconds that another program may keep apt: unattended-upgrades takes minutes on a machine that is new."""

CLOUD_INIT_SECONDS: Final = 300
"""Limit on the wait for cloud-init; after it apt's lock alone has to do."""

_INSTALL_SECONDS: Final = 300
_AGAIN_SECONDS: Final = 5.0
_SHOWN: Final = 40
"""Words of apt's complaint that are shown: its last ones."""

_LOCKED: Final = re.compile(
    r"Could not get lock|Unable to lock|Unable to acquire|is another process using it"
)
_ENVIRONMENT: Final = {"DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"}
"""In another language its complaints would not be known."""


def install(apt: str, package: str) -> None:
    """Install a package of the distribution with `apt`, the path of apt-get. Raises `NodectlError`."""
    say(f"installing the package {package}")
    _wait_for_cloud_init()
    arguments = ("install", "-y", "-qq", "--no-install-recommends", package)
    result = _run(apt, arguments)
    if result.returncode:  # a machine that never asked for the lists of packages
        _run(apt, ("update", "-qq"))
        result = _run(apt, arguments)
    if result.returncode:
        complaint = " ".join(result.stderr.split()[-_SHOWN:])
        raise NodectlError(f"apt-get install {package} failed; install {package} yourself: {complaint}")


@cache
def _wait_for_cloud_init() -> None:
    """Wait until the machine's first boot is over, once: whatever became of it, apt is asked then."""
    tool = shutil.which("cloud-init")
    if tool is None:
        return
    command = [tool, "status", "--wait"]
    try:
        subprocess.run(command, capture_output=True, timeout=CLOUD_INIT_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        say(f"cloud-init is not done after {CLOUD_INIT_SECONDS} s; going on")


def _once(command: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    seconds, environment = LOCK_SECONDS + _INSTALL_SECONDS, {**os.environ, **_ENVIRONMENT}
    try:
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NodectlError(f"{' '.join(command)}: took more than {seconds} s") from error


def _run(apt: str, arguments: Sequence[str]) -> "subprocess.CompletedProcess[str]":
    """Run apt-get; while another program keeps one of its locks, again."""
    command = [apt, "-o", f"DPkg::Lock::Timeout={LOCK_SECONDS}", *arguments]
    result = _once(command)

    def unlocked() -> bool:
        return not result.returncode or not _LOCKED.search(result.stderr)

    def retry() -> bool:
        nonlocal result
        result = _once(command)
        return unlocked()

    def tell(_: Moment) -> None:
        say("another program is using apt; waiting for it")

    if not unlocked():
        Wait("apt", LOCK_SECONDS, interval=_AGAIN_SECONDS, progress=Progress(tell)).holds(retry)
    return result
