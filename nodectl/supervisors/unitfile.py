"""Unit files of systemd: their text, for services of nodes and for a host's own units, and their names.

What the settings mean is in systemd.unit(5), systemd.service(5) and systemd.exec(5).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nodectl.common import surroundings
from nodectl.common.errors import BadInputError
from nodectl.common.limits import OPEN_FILES
from nodectl.common.redaction import redacted
from nodectl.supervisors.supervisor import Unit

FOLDER: Final = Path("/etc/systemd/system")
"""Folder of an administrator's units: they start at boot, and go before a distribution's."""

PREFIX: Final = "dynamo"

HOST_PREFIX: Final = "dynamo-multinode-"
"""Prefix of the names of units that are a host's own, no service of a node."""

CACHE_UNIT: Final = f"{HOST_PREFIX}cache.service"
"""The unit that installs again at boot what a host can lose with its disks (`nodectl.host.nvme`)."""

SANDBOX: Final[Mapping[str, str]] = {
    "RemoveIPC": "yes",
    "NoNewPrivileges": "yes",
    "CapabilityBoundingSet": "",
    "ProtectSystem": "strict",
    "ProtectHome": "read-only",
    "PrivateTmp": "yes",
    "ProtectControlGroups": "yes",
    "ProtectKernelLogs": "yes",
    "ProtectKernelModules": "yes",
    "ProtectKernelTunables": "yes",
    "ProtectHostname": "yes",
    "RestrictSUIDSGID": "yes",
    "RestrictRealtime": "yes",
    "RestrictNamespaces": "yes",
    "RestrictAddressFamilies": "AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    "LockPersonality": "yes",
    "SystemCallArchitectures": "native",
}
"""Settings that isolate services from the host, beside the folders that they may write in."""

PRIVATE_FOLDERS: Final = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - which services do not share
"""Folders that `PrivateTmp` hides: each service has its own there."""

_LINES: Final = 300_000
"""Lines of a service in 30 seconds that journald takes before it drops any; its own default is 10,000."""

_LIFE: Final = {
    "Restart": "always",
    "RestartSec": "1",
    "KillMode": "mixed",
    "KillSignal": "SIGTERM",
    "SendSIGKILL": "yes",
}
"""Settings for the restart and the stop of each service."""

_LIMITS: Final = {
    "OOMPolicy": "kill",
    "LimitCORE": "0",
    "LimitMEMLOCK": "infinity",
    "LimitNOFILE": str(OPEN_FILES),
    "TasksMax": "infinity",
    "StandardOutput": "journal",
    "StandardError": "journal",
    "LogRateLimitIntervalSec": "30s",
    "LogRateLimitBurst": str(_LINES),
}
"""Limits on what each service may use, and print."""

_PART: Final = re.compile(r"[A-Za-z0-9_-]+")
_STACK: Final = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(frozen=True)
class Owner:
    """The node whose services are kept, and what they have in common."""

    stack: str
    node: str
    root: Path
    user: str
    writable: Sequence[Path]
    environment: Mapping[str, str]
    prelude: Sequence[Sequence[str]] = field(default=())
    """Commands that root runs before each start; what they answer does not matter."""
    after: Sequence[str] = field(default=())
    """Units of the host that services wait for at boot."""

    def __post_init__(self) -> None:
        if not (_STACK.fullmatch(self.stack) and _PART.fullmatch(self.node)):
            raise BadInputError(
                f"--root: {self.root} names no units; its last two parts, stack and node, may have"
                " letters, digits, '_' and '-', the stack dots as well"
            )

    @property
    def prefix(self) -> str:
        """Return how the names of the node's units begin."""
        return prefix(self.stack, self.node)

    def unit(self, service: str) -> str:
        """Return the name of a service's unit."""
        return f"{self.prefix}{service}.service"

    def service(self, unit: str) -> str | None:
        """Return the service of a unit; None when the unit is not this node's.

        Names of nodes and services have no dots, those of stacks may: `dynamo.a.b.c.service` is service c of
        node b in stack a, and none of node a's in a stack without a name.
        """
        name = unit.removesuffix(".service")
        service = name.removeprefix(self.prefix)
        return service if name == self.prefix + service and service and "." not in service else None


def prefix(stack: str, node: str) -> str:
    """Return how the names of a node's units begin."""
    return f"{PREFIX}.{stack}.{node}."


def unit_files() -> Iterator[Path]:
    """Yield the unit files of all nodes of the host."""
    return FOLDER.glob(f"{PREFIX}.*.service")


def host_units() -> Iterator[Path]:
    """Yield the unit files of the host's own services."""
    return FOLDER.glob(f"{HOST_PREFIX}*.service")


def texts(owner: Owner, units: Mapping[str, Unit]) -> dict[str, str]:
    """Return the unit file of each service of a node.

    Those that depend on others come after those that do not, so that workers deregister from a living etcd
    when the host shuts down. It delays no start: `Type=exec` is up as soon as its process runs.
    """
    first = sorted(owner.unit(name) for name, unit in units.items() if not unit.dependent)
    return {name: text(owner, name, unit, first if unit.dependent else ()) for name, unit in units.items()}


def text(owner: Owner, service: str, unit: Unit, after: Sequence[str] = ()) -> str:
    """Return the unit file of a service that comes `after` other units.

    `KillMode=mixed`: SIGTERM reaches the main process alone, since vLLM's engine aborts at once on one of its
    own, and what is left after the stop time is killed. `OOMPolicy=kill`: an engine that lost a process for
    want of memory serves no more, so all of it starts again. No PrivateDevices, ProtectClock or
    MemoryDenyWriteExecute: GPUs are devices, and torch compiles. `/dev/shm` stays shared, which NCCL and
    NIXL need between services; RemoveIPC clears it after the last.

    systemd's own defaults may be set to anything; what would be in the way before nodectl looks is unset.

    What runs a container is root's and without these limits: podman and docker need both, and the container
    keeps the service apart.
    """
    description = f"{service} of {owner.node} in {owner.stack} (dynamo-multinode)"
    return render(
        {
            "Unit": {
                "Description": _plain(description),
                "Wants": "network-online.target",
                "After": " ".join(["network-online.target", *owner.after, *after]),
                "StartLimitIntervalSec": "0",
            },
            "Service": {
                "Type": "exec",
                **({} if unit.contained else {"User": owner.user, "Group": owner.user}),
                "WorkingDirectory": _plain(str(owner.root)),
                "Environment": [
                    _quoted(f"{name}={value}") for name, value in sorted(owner.environment.items())
                ],
                "UnsetEnvironment": " ".join([*surroundings.BEFORE_US, *surroundings.PROXIES]),
                "ExecStartPre": [f"-+{_command(command)}" for command in owner.prelude],
                "ExecStart": _command(unit.command),
                **_LIFE,
                "TimeoutStopSec": str(unit.stop_seconds),
                **_LIMITS,
                "SyslogIdentifier": owner.unit(service).removesuffix(".service"),
                "UMask": "0077",
                **({} if unit.contained else _hardening(owner)),
            },
            "Install": {"WantedBy": "multi-user.target"},
        }
    )


def render(sections: Mapping[str, Mapping[str, str | Sequence[str]]]) -> str:
    """Return the text of a unit file: of its sections, of their keys, and of the values of each key.

    A key with several values is written once for each, and with none not at all. Values are written as they
    are: what systemd would take for something else in them, the caller has made harmless.
    """
    return "\n".join(
        f"[{name}]\n" + "".join(map(_lines, settings.keys(), settings.values()))
        for name, settings in sections.items()
    )


def _lines(key: str, values: str | Sequence[str]) -> str:
    return "".join(f"{key}={value}\n" for value in ([values] if isinstance(values, str) else values))


def _hardening(owner: Owner) -> dict[str, str]:
    return {"ReadWritePaths": " ".join(_quoted(str(path)) for path in owner.writable), **SANDBOX}


def _command(words: Sequence[str]) -> str:
    """Return a command line; systemd replaces variables in arguments, and never in the program."""
    program, *arguments = words
    return " ".join([_quoted(program), *(_quoted(word).replace("$", "$$") for word in arguments)])


def _quoted(word: str) -> str:
    """Return one word: quoted, with systemd's own escapes and specifiers made harmless."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%")
    return '"' + "".join(f"\\x{ord(c):02x}" if ord(c) < 0x20 or ord(c) == 0x7F else c for c in escaped) + '"'


def _plain(value: str) -> str:
    """Return a value that systemd takes as it is up to the end of the line, but for specifiers."""
    if value != value.strip() or not value.isprintable() or value.endswith("\\"):
        raise BadInputError(f"{redacted(value)} cannot be written in a unit file; use another path")
    return value.replace("%", "%%")
