"""Access to the nodes of a stack on AWS: a folder that commands read when they run.

What changes (a public address, an instance) and what is secret stands there, and so in no command's text: the
same stack previews no change for a colleague. `up` writes the folder, and scripts do from the stack's state.
"""

import json
import os
import shlex
import shutil
import time
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from remote.errors import NoAccessError

LOGIN_KEY: Final = "login-key"
HOST_KEY: Final = "host-key"
"""Names of the two resources that hold what GENERATE printed."""

GENERATE: Final = (
    "d=$(mktemp -d) && trap 'rm -rf \"$d\"' EXIT && "
    'ssh-keygen -q -t ed25519 -N \'\' -C dynamo-multinode -f "$d/key" && cat "$d/key" "$d/key.pub"'
)
"""Shell command that prints a new private key and then, in a line, its public key."""

BOOT_SECONDS: Final = 900.0
"""Seconds that an instance may take from its launch until SSH answers; with eight GPUs it takes minutes."""

_FOLDER: Final = 0o700
_FILE: Final = 0o600
_DOCUMENT: Final = "AWS-StartSSHSession"
_PROGRAMS: Final = {
    "aws": "the AWS CLI: https://docs.aws.amazon.com/cli/latest/userguide/getting-started-install.html",
    "session-manager-plugin": "the AWS CLI's Session Manager plugin: https://docs.aws.amazon.com/"
    "systems-manager/latest/userguide/session-manager-working-with-install-plugin.html",
}
"""Programs that `access: ssm` needs on the operator's machine -> software that each is part of."""


def private_part(pair: str) -> str:
    """Return the private key of what GENERATE printed."""
    return pair.strip().rpartition("\n")[0] + "\n"


def public_part(pair: str) -> str:
    """Return the public key of what GENERATE printed: type and key."""
    return " ".join(pair.strip().rpartition("\n")[2].split()[:2])


@dataclass(frozen=True)
class FleetAccess:
    """Route from this machine to the nodes of a stack: region, Session Manager or bastion, instances."""

    region: str
    ssm: bool
    """Whether Session Manager takes one there."""
    bastion: str | None
    """`user@address` of the head, where it has a public address and Session Manager is not used."""
    head: str
    """Name of the head."""
    profile: str | None = None
    """Profile of the AWS configuration that the stack file names."""
    instances: Mapping[str, str] = field(default_factory=dict)
    """Id of each node's instance."""
    since: Mapping[str, float] = field(default_factory=dict)
    """Time that each instance was created, as far as is known here: seconds since 1970."""


@dataclass(frozen=True)
class SshRoute:
    """SSH access to one node at this moment: key, known_hosts, bastion or session."""

    key: Path | None
    """Private key of the stack; None: the operator's own, of a given key pair."""
    known_hosts: Path
    bastion: str | None
    session: str | None
    """Command for ssh's ProxyCommand that opens a session of Session Manager."""
    boots_until: float
    """Until when the node, or the head on the way to it, may still boot: seconds since 1970."""


def folder_of(stack: str) -> Path:
    """Return the folder of a stack, seen from the project folder."""
    return Path(".run", stack, "access")


def write_access(folder: Path, access: FleetAccess, *, key: str | None, host_key: str) -> None:
    """Write the folder, readable for this user alone; what is right already stays as it is."""
    for path in (folder.parent, folder):
        path.mkdir(mode=_FOLDER, parents=True, exist_ok=True)
    folder.chmod(_FOLDER)
    if key is None:
        (folder / "key").unlink(missing_ok=True)
    else:
        _write(folder / "key", key)
    _write(folder / "known_hosts", f"* {host_key}\n")
    _write_access(folder, access)


def read_access(folder: Path) -> FleetAccess | None:
    """Return the access that was last written; None where there is none."""
    try:
        content: dict[str, Any] = json.loads((folder / "route.json").read_text(encoding="utf-8"))
        return FleetAccess(**content)
    except (OSError, ValueError, TypeError):
        return None


def ssh_route(folder: Path, name: str) -> SshRoute:
    """Return how node `name` is reached. Raises NoAccessError where the folder or a program is missing."""
    access, stack = read_access(folder), folder.parent.name
    if access is None or not (folder / "known_hosts").is_file():
        raise NoAccessError(
            f"{name}: {folder} does not say how it is reached: run `scripts/access {stack}`, which writes it "
            f"from the stack's state, or bring the stack up with `scripts/up {stack}`"
        )
    since = max(access.since.get(name, 0.0), access.since.get(access.head, 0.0))
    key = folder / "key"
    return SshRoute(
        key=key if key.is_file() else None,
        known_hosts=folder / "known_hosts",
        bastion=access.bastion,
        session=_session(access, name, stack) if access.ssm else None,
        boots_until=since + BOOT_SECONDS,
    )


def record_start(folder: Path, names: Collection[str]) -> None:
    """Record that the instances of these nodes were started just now, so that SSH may take its time."""
    access = read_access(folder)
    if access is None:
        raise NoAccessError(
            f"{folder} does not say how nodes are reached: run `scripts/access {folder.parent.name}`"
        )
    start_times = dict.fromkeys(names, time.time())
    _write_access(folder, replace(access, since={**access.since, **start_times}))


def running_since(previous: FleetAccess | None, name: str, instance: str) -> float:
    """Return when an instance came to be: now, unless it was there before."""
    if previous is not None and previous.instances.get(name) == instance:
        return previous.since.get(name, 0.0)
    return time.time()


def _session(access: FleetAccess, name: str, stack: str) -> str:
    for program, source in _PROGRAMS.items():
        if shutil.which(program) is None:
            raise NoAccessError(
                f"{name}: `target.access: ssm` needs `{program}`, which is not on PATH here: install {source}"
            )
    if name not in access.instances:
        raise NoAccessError(
            f"{name}: no instance of it is known here: run `scripts/access {stack}`, or `scripts/up {stack}`"
        )
    command = ["aws", "ssm", "start-session", "--target", access.instances[name]]
    command += ["--document-name", _DOCUMENT, "--region", access.region]
    command += ["--profile", access.profile] if access.profile else []
    # ssh replaces %p; everything else is taken as it is
    return f"{shlex.join(command).replace('%', '%%')} --parameters portNumber=%p"


def _write_access(folder: Path, access: FleetAccess) -> None:
    _write(folder / "route.json", json.dumps(asdict(access), indent=1, sort_keys=True) + "\n")


def _write(path: Path, text: str) -> None:
    """Replace a file by `text` in one step, unless it is that already."""
    if path.is_file() and path.read_text(encoding="utf-8") == text:
        path.chmod(_FILE)
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)
    with os.fdopen(
        os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FILE), "w", encoding="utf-8"
    ) as file:
        file.write(text)
    draft.replace(path)
