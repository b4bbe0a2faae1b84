"""The sandbox of a host's services: their user, their namespaces. Checks for them are made in it."""

import stat
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nodectl.common.errors import NodectlError, TimedOutError
from nodectl.supervisors import service_user
from nodectl.supervisors.unitfile import PRIVATE_FOLDERS, SANDBOX

_SECONDS: Final = 60.0

_UNREADABLE: Final = 'for file; do test -r "$file" || printf "%s\\0" "$file"; done'


def inside(command: Sequence[str]) -> list[str]:
    """Return the command that runs another as services run, and prints what it prints.

    Before the services' user is made, one that exists for this command alone stands in.
    """
    user = f"User={service_user.NAME}" if service_user.exists() else "DynamicUser=yes"
    properties = [f"--property={name}={value}" for name, value in SANDBOX.items()]
    return [
        "systemd-run",
        "--quiet",
        "--wait",
        "--pipe",
        "--collect",
        f"--property={user}",
        *properties,
        "--",
        *command,
    ]


def check_readable(files: Sequence[Path]) -> None:
    """Raise `NodectlError` for a file that root can read and services cannot: none would start."""
    command = inside(["/bin/sh", "-c", _UNREADABLE, "sh", *map(str, files)])
    try:
        result = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
    except FileNotFoundError as error:
        raise NodectlError("this host has no systemd-run; hosts need systemd") from error
    except subprocess.TimeoutExpired:
        raise TimedOutError(f"systemd-run took more than {_SECONDS:.0f} s") from None
    if result.returncode:
        raise NodectlError(f"systemd-run failed with {result.returncode}: {result.stderr.strip()}")
    for path in filter(None, result.stdout.split("\0")):
        raise NodectlError(f"{path}: services cannot read it, {why_unreadable(Path(path))}")


def why_unreadable(path: Path) -> str:
    """Return why services cannot read a file that root can, and what to do."""
    for link in (path, path.resolve()):
        for part in reversed((link, *link.parents)):
            mode = part.stat().st_mode
            if not mode & (stat.S_IXOTH if part.is_dir() else stat.S_IROTH):
                reason = f"since {part} is closed to other users (mode {stat.S_IMODE(mode):03o})"
                return f"{reason}; open it, or have the file elsewhere"
        for folder in PRIVATE_FOLDERS:
            if folder in link.parents:
                return (
                    f"since each of them has {folder} for itself; have it elsewhere, for example below /srv"
                )
    return f"though root can: see to it that user {service_user.NAME} may, or have it elsewhere"
