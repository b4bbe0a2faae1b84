"""The user whom services of a host run as: made for the first node on the host, removed with the last."""

import grp
import pwd
import subprocess
from collections.abc import Collection
from typing import Final, NamedTuple

from nodectl.common.errors import NodectlError

NAME: Final = "dynamo-multinode"

_COMMENT: Final = "services of dynamo-multinode"
"""Tells the user that was made here from one of the same name that was there before, and stays."""

_DEVICES: Final = ("video", "render")
"""Groups that may use GPUs, on the distributions that have them."""


class Account(NamedTuple):
    """The numbers of the user and its group."""

    number: int
    group: int


def ensure() -> Account:
    """Return the user, made if need be, and in the groups of the host's devices."""
    if _find() is None:
        group = ["--gid", NAME] if _group_exists() else ["--user-group"]
        login_options = ["--no-create-home", "--home-dir", "/nonexistent", "--shell", "/usr/sbin/nologin"]
        _run("useradd", "--system", *group, *login_options, "--comment", _COMMENT, NAME)
    if missing := _groups_without_it():
        _run("usermod", "--append", "--groups", ",".join(sorted(missing)), NAME)
    user = _find()
    if user is None:
        raise NodectlError(f"user {NAME} was made, but this host does not know it; check /etc/nsswitch.conf")
    return Account(user.pw_uid, user.pw_gid)


def exists() -> bool:
    """Return whether the host has the user."""
    return _find() is not None


def remove() -> None:
    """Remove the user, if it was made here, and its group."""
    user = _find()
    if user is not None and user.pw_gecos == _COMMENT:
        _run("userdel", NAME)
    if _find() is None and _group_exists():  # userdel was cut off, or did not make it
        _run("groupdel", NAME)


def _find() -> pwd.struct_passwd | None:
    try:
        return pwd.getpwnam(NAME)
    except KeyError:
        return None


def _group_exists() -> bool:
    try:
        grp.getgrnam(NAME)
    except KeyError:
        return False
    return True


def _groups_without_it() -> Collection[str]:
    return [
        group.gr_name for group in grp.getgrall() if group.gr_name in _DEVICES and NAME not in group.gr_mem
    ]


def _run(*command: str) -> None:
    try:
        completed = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise NodectlError(
            f"{command[0]} is not on this host; install the package that has it (passwd, shadow-utils)"
        ) from error
    if completed.returncode:
        raise NodectlError(f"{command[0]} failed with {completed.returncode}: {completed.stderr.strip()}")
