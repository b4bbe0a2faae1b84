"""Ports that a service needs and somebody else on the machine holds: it would start and end over and over.

A distribution's own etcd is one such, an exporter of metrics, and what a stack left that was taken down while
the host was away.
"""

import errno
import ipaddress
import re
import socket
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from nodectl.common import procfs
from nodectl.common.errors import NodectlError
from nodectl.common.layout import HOST_ROOTS, MARKER
from nodectl.supervisors.unitfile import PREFIX

_UNIT: Final = ".service"
_INIT: Final = 1
_ANCESTORS: Final = 10
_CONTAINER: Final = re.compile(r"(?:^|[/-])([0-9a-f]{12})[0-9a-f]{52}(?:\.scope)?(?:/|$)")
"""A container's id in the path of a control group, whatever program made it."""

_PUBLISHERS: Final = ("docker-proxy", "rootlessport", "conmon")
"""Programs that listen for a container whose port is published."""

_SSH: Final = ("ssh", "sshd")
"""Units, a service or a socket, by which `up` itself gets in: nobody is told to stop them."""

_LISTED_SECONDS: Final = 10


class Need(NamedTuple):
    """A port that a service is about to listen on, and the key of the stack file's `ports` that moves it."""

    service: str
    key: str
    host: str
    port: int


class Holder(NamedTuple):
    """The holder of a port, in words, and the remedy: none, where it has to stay."""

    who: str
    remedy: str

    @property
    def otherwise(self) -> str:
        """Return the remedy as it stands before the other one, which is another port."""
        return f"{self.remedy}, or " if self.remedy else ""


@dataclass(frozen=True)
class Own:
    """By what the node's own processes are told from others."""

    root: Path
    units: str
    """Prefix of the names of its units; on a machine without units of it, nothing begins so."""
    session: int | None
    """That of its supervisor, where it has one of its own."""

    def holds(self, pid: int) -> bool:
        """Return whether a process is the node's: its unit, session or environment, or a parent's, say so.

        Engines overwrite their environment with a title, and containers have units of their own.
        """
        if _unit(pid).startswith(self.units):
            return True
        for ancestor in _line(pid):
            if procfs.variable(ancestor.pid, MARKER) == str(self.root) or ancestor.session == self.session:
                return True
        return False


def check(needs: Iterable[Need], node: Own, remover: str) -> None:
    """Raise NodectlError with every port that others hold than the node itself.

    `remover` is the command that removes another node on the host.
    """
    conflicts = [
        f"{need.service}: {_place(need)} is taken by {holder.who}; {holder.otherwise}"
        f"write another number at `ports.{need.key}` of the stack file"
        for need in sorted(needs)
        if (holder := _holder(need, node, remover))
    ]
    if conflicts:
        raise NodectlError("\n".join(dict.fromkeys(conflicts)))


def _place(need: Need) -> str:
    return f"port {need.port}" + ("" if _is_any(need.host) else f" of {need.host}")


def _is_any(host: str) -> bool:
    return ipaddress.ip_address(host).is_unspecified


def _holder(need: Need, node: Own, remover: str) -> Holder | None:
    """Return who else listens on a port of an address, or on that port of every address."""
    inodes = _inodes(need)
    if not inodes or _is_free(need):
        return None
    pids = [process.pid for process in procfs.processes() if inodes & procfs.sockets(process.pid)]
    if not pids:
        holder = "a process of another user"
        return Holder(holder, f"`sudo ss -ltnp 'sport = :{need.port}'` names it; end it, then run `up` again")
    if any(node.holds(pid) for pid in pids):
        return None
    return _named(pids[0], need.port, remover)


def _inodes(need: Need) -> set[int]:
    address = ipaddress.ip_address(need.host)
    return {
        listener.inode
        for listener in procfs.listeners()
        if listener.port == need.port
        and (listener.address == address or listener.address.is_unspecified or address.is_unspecified)
    }


def _is_free(need: Need) -> bool:
    """Return whether the port can be had all the same: what listens on `::` may be for IPv6 alone."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((need.host, need.port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def _named(pid: int, port: int, remover: str) -> Holder:
    """Return a foreign process in the words of whoever started it."""
    process = f"process {pid} ({procfs.name(pid)})"
    unit = (_socket_unit(port) if pid == _INIT else "") or _unit(pid)
    if procfs.name(pid) == "sshd" or unit.partition(".")[0] in _SSH:
        return Holder(unit or process, "")
    if pid == _INIT and unit:
        return Holder(unit, _disable(unit))
    if procfs.name(pid) in _PUBLISHERS:
        hint = f"`docker ps --filter publish={port}` (or podman's) names it"
        return Holder(f"a container's published port, {process}", f"{hint}; stop it, then run `up` again")
    if container := _container(pid):
        return Holder(f"container {container}, {process}", "stop it, then run `up` again")
    if not unit:
        return Holder(process, "end it, then run `up` again")
    if not unit.startswith(f"{PREFIX}."):
        return Holder(unit, _disable(unit))
    stack, node, _ = unit.removeprefix(f"{PREFIX}.").removesuffix(_UNIT).rsplit(".", 2)
    command = f"sudo {remover} --root {HOST_ROOTS}/{stack}/{node}"
    return Holder(unit, f"take stack {stack} down first; where that is no more, run `{command}` there")


def _disable(unit: str) -> str:
    return f"run `sudo systemctl disable --now {unit}` there, then `up` again"


def _line(pid: int) -> Iterator[procfs.Process]:
    """Yield a process and those that it descends from, up to the machine's first."""
    for _ in range(_ANCESTORS):
        process = procfs.process(pid) if pid > _INIT else None
        if process is None:
            return
        yield process
        pid = process.parent


def _container(pid: int) -> str:
    """Return the short id of the container that a process belongs to, or nothing."""
    matches = map(_CONTAINER.search, procfs.control_groups(pid))
    return next((match[1] for match in matches if match), "")


def _unit(pid: int) -> str:
    """Return the system's unit that a process belongs to, or nothing: what users run is none of it."""
    for line in procfs.control_groups(pid):
        parts = line.split("/")
        for part in [] if "user.slice" in parts else reversed(parts):
            if part.endswith((_UNIT, ".scope")):
                return part if part.endswith(_UNIT) else ""
    return ""


def _socket_unit(port: int) -> str:
    """Return the unit for which systemd itself listens on a port, such as cockpit.socket, or nothing."""
    command = ["systemctl", "list-sockets", "--all", "--plain", "--no-legend", "--no-pager", "--full"]
    try:
        output = subprocess.run(
            command, capture_output=True, text=True, timeout=_LISTED_SECONDS, check=False
        ).stdout
    except (OSError, subprocess.TimeoutExpired):
        return ""
    lines = (line.split() for line in output.splitlines())
    return next((words[1] for words in lines if len(words) > 1 and words[0].endswith(f":{port}")), "")
