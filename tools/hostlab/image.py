"""The image of a lab's hosts, built once per user, and the programs that build and boot it."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

from tools.hostlab.errors import LabError
from tools.hostlab.lock import alone
from tools.toolchain.common import last_lines, made_whole, run, say, user_cache

PROGRAMS = {"ip": "iproute2", "mmdebstrap": "mmdebstrap", "systemd-nspawn": "systemd-container"}
"""Program that a lab runs on this machine -> its Debian package."""

PACKAGES = (
    "ca-certificates",
    "dbus",
    "haproxy",
    "iproute2",
    "libnuma1",  # vLLM on the CPU
    "netcat-openbsd",
    "nftables",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd",
    "systemd-sysv",
    "tcsh",  # a login shell that is no sh
)
TIMERS = ("apt-daily.timer", "apt-daily-upgrade.timer", "dpkg-db-backup.timer", "e2scrub_all.timer")

RECIPE = (
    "--variant=minbase",
    f"--include={','.join(PACKAGES)}",
    '--customize-hook=chroot "$1" useradd --create-home --shell /bin/bash ops',
    # hosts that share their keys are not told apart
    '--customize-hook=rm "$1"/etc/ssh/ssh_host_*',
    '--customize-hook=systemctl --root="$1" enable systemd-networkd',
    # a host that is to balance runs it by a unit of its own
    '--customize-hook=systemctl --root="$1" disable haproxy',
    # work by the clock would take the processors of all hosts at once
    f'--customize-hook=systemctl --root="$1" mask console-getty {" ".join(TIMERS)}',
    "bookworm",
)


def ensure_programs() -> None:
    """Install programs missing on this machine. Raises LabError if that fails."""
    missing = [package for program, package in PROGRAMS.items() if not shutil.which(program)]
    if not missing:
        return
    packages = " ".join(missing)
    if not shutil.which("apt-get"):
        raise LabError(f"missing on this machine: {packages} (Debian's names); install them")
    say(f"installing {packages}")
    install = ["apt-get", "install", "--yes", "--no-install-recommends", *missing]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if subprocess.run(install, env=environment, capture_output=True, check=False).returncode:
        run(["apt-get", "update"], "cannot read the package lists; check apt's sources")
        run(install, f"cannot install {packages}; install them and try again", env=environment)


def ensure_image() -> Path:
    """Return the folder of the image, which is built if there is none of this recipe."""
    shelf = user_cache() / "lab"
    image = shelf / hashlib.sha256("\0".join(RECIPE).encode()).hexdigest()[:12]
    with alone(shelf):
        if not image.is_dir():
            say("image      making the hosts' Debian: about a minute, once")
            with made_whole(image) as partial:
                _follow_recipe(partial)
    return image


def _follow_recipe(folder: Path) -> None:
    """Build the image into `folder`. If the caller is killed, mmdebstrap and its mounts end as well."""
    bound = ["setpriv", "--pdeathsig=KILL"]
    contained = ["unshare", "--mount", "--propagation=private", "--pid", "--fork", "--kill-child"]
    completed = subprocess.run(
        [*bound, *contained, "--mount-proc", "nice", "mmdebstrap", *RECIPE, str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if completed.returncode:
        raise LabError(
            "cannot make the hosts' Debian; check that this machine reaches a Debian mirror\n"
            + last_lines(completed.stderr)
        )
