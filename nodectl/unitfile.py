"""A service as a unit file of systemd: a plain function from what nodectl knows to text.

Standard library only. What the settings mean is in systemd.unit(5), systemd.service(5) and systemd.exec(5).
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from nodectl.errors import BadInputError
from nodectl.supervisor import Unit

FOLDER: Final = Path("/etc/systemd/system")
"""Where an administrator's units lie: they start at boot, and go before a distribution's."""

PREFIX: Final = "dynamo"

HOST_PREFIX: Final = "dynamo-multinode-"
"""How names of units begin that are a host's own, no service of a node."""

CACHE_UNIT: Final = f"{HOST_PREFIX}cache.service"
"""What puts back at boot what services start from, on a host where that can be lost (`nodectl.nvme`)."""

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

    What runs a container is root's and without these limits: podman and docker need both, and the container
    keeps the service apart.
    """
    name = owner.unit(service).removesuffix(".service")
    return f"""\
[Unit]
Description={_plain(f"{service} of {owner.node} in {owner.stack} (dynamo-multinode)")}
Wants=network-online.target
After={" ".join(["network-online.target", *owner.after, *after])}
StartLimitIntervalSec=0

[Service]
Type=exec
{"" if unit.contained else _user(owner)}\
WorkingDirectory={_plain(str(owner.root))}
{_lines("Environment", (_quoted(f"{n}={v}") for n, v in sorted(owner.environment.items())))}\
{_lines("ExecStartPre", (f"-+{_command(one)}" for one in owner.prelude))}\
ExecStart={_command(unit.command)}
Restart=always
RestartSec=1
KillMode=mixed
KillSignal=SIGTERM
SendSIGKILL=yes
TimeoutStopSec={unit.stop_seconds}
OOMPolicy=kill
LimitMEMLOCK=infinity
LimitNOFILE=1048576
TasksMax=infinity
StandardOutput=journal
StandardError=journal
SyslogIdentifier={name}
UMask=0077
{"" if unit.contained else _hardening(owner)}\

[Install]
WantedBy=multi-user.target
"""


def _user(owner: Owner) -> str:
    return f"User={owner.user}\nGroup={owner.user}\n"


def _hardening(owner: Owner) -> str:
    return f"""\
RemoveIPC=yes
NoNewPrivileges=yes
CapabilityBoundingSet=
ProtectSystem=strict
ReadWritePaths={" ".join(_quoted(str(path)) for path in owner.writable)}
ProtectHome=read-only
PrivateTmp=yes
ProtectControlGroups=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectHostname=yes
RestrictSUIDSGID=yes
RestrictRealtime=yes
RestrictNamespaces=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK
LockPersonality=yes
SystemCallArchitectures=native
"""


def _lines(key: str, values: Iterable[str]) -> str:
    return "".join(f"{key}={value}\n" for value in values)


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
        raise BadInputError(f"{value!r} cannot be written in a unit file; use another path")
    return value.replace("%", "%%")
