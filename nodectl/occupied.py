"""Ports that a service needs and somebody else on the host holds: it would start and end over and over.

A distribution's own etcd is one such, and what a stack left that was taken down while the host was away.
Standard library only.
"""

import ipaddress
from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple

from nodectl import procfs
from nodectl.errors import NodectlError
from nodectl.files import read_if_there
from nodectl.layout import HOST_ROOTS
from nodectl.unitfile import PREFIX

_UNIT: Final = ".service"


class Holder(NamedTuple):
    """Who listens: a unit of systemd, or a process that belongs to none."""

    unit: str
    process: str


def check(endpoints: Mapping[str, tuple[str, int]], own: str, remover: str) -> None:
    """Raise NodectlError for the first service whose address and port others hold than units of this node.

    `own` is how the names of the node's units begin, `remover` what removes another node on the host.
    """
    for name, (host, port) in sorted(endpoints.items()):
        holder = _holder(host, port)
        if holder is not None and not holder.unit.startswith(own):
            taken = f"{name}: port {port} of {host} is taken by {holder.unit or holder.process}"
            raise NodectlError(f"{taken}; {_remedy(holder, remover)}")


def _holder(host: str, port: int) -> Holder | None:
    """Return who listens on a port of an address, or on that port of every address."""
    address = ipaddress.ip_address(host)
    inodes = {
        one.inode
        for one in procfs.listeners()
        if one.port == port and (one.address == address or one.address.is_unspecified)
    }
    for process in procfs.processes() if inodes else ():
        if inodes & procfs.sockets(process.pid):
            return Holder(_unit(process.pid), f"process {process.pid} ({procfs.name(process.pid)})")
    return None


def _unit(pid: int) -> str:
    """Return the unit that a process belongs to, or nothing (cgroups(7), /proc/PID/cgroup)."""
    for line in (read_if_there(Path(f"/proc/{pid}/cgroup")) or "").splitlines():
        for part in reversed(line.split("/")):
            if part.endswith(_UNIT):
                return part
    return ""


def _remedy(holder: Holder, remover: str) -> str:
    if not holder.unit:
        return "end it, then run `up` again"
    if not holder.unit.startswith(f"{PREFIX}."):
        return f"run `sudo systemctl disable --now {holder.unit}` there, then `up` again"
    stack, node, _ = holder.unit.removeprefix(f"{PREFIX}.").removesuffix(_UNIT).rsplit(".", 2)
    remove = f"sudo {remover} --root {HOST_ROOTS}/{stack}/{node}"
    return f"take stack {stack} down first; where that is no more, run `{remove}` there"
