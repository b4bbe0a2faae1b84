"""Addresses of local nodes: each stack of each project folder gets loopback addresses of its own.

Every node having its own address is what lets all port numbers be those of real machines.
"""

import hashlib
import ipaddress
import itertools
import socket
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from nodectl.common.files import write_atomically

FIRST_HOST = 11
LAST_HOST = 250
_LOWEST_SECOND = 16  # 127.0.0.0 to 127.15.255.255 is left to others: resolvers live there
_HIGHEST_SECOND = 254  # what counts up from the last candidate stays below 128.0.0.0
_TRIES = 64  # a port that is taken on so many addresses is taken on all: something listens on 0.0.0.0


class PortsTakenError(RuntimeError):
    """Ports that the deployment needs are taken on every loopback address."""

    def __init__(self, ports: Sequence[int]) -> None:
        port_list = ", ".join(map(str, ports))
        super().__init__(
            f"port {port_list} is taken on every loopback address: something here listens on 0.0.0.0; "
            f"find it with `ss -ltnp` and stop it, or bind it to 127.0.0.1"
        )


def first_address(project: Path, stack: str, run: Path, ports: Sequence[int]) -> str:
    """Return the address of the stack's first node.

    The one kept in `run` by an earlier `up`, else the first one from a hash of project folder and stack
    name on which none of `ports` is taken.
    """
    address_file = run / "address"
    if address_file.exists():
        return address_file.read_text(encoding="utf-8").strip()
    taken_ports: set[int] = set()
    for address in itertools.islice(candidates(project, stack), _TRIES):
        busy_ports = [port for port in ports if not _free(address, port)]
        if not busy_ports:
            return address
        taken_ports.update(busy_ports)
    raise PortsTakenError(sorted(taken_ports))


def keep(run: Path, address: str) -> None:
    """Remember the first node's address for as long as the stack lives."""
    run.mkdir(parents=True, exist_ok=True)
    write_atomically(run / "address", address + "\n")


def candidates(project: Path, stack: str) -> Iterator[str]:
    """Yield the possible first addresses, a different order for each project folder and stack."""
    start = int.from_bytes(hashlib.sha256(f"{project}\0{stack}".encode()).digest()[:4])
    span = (_HIGHEST_SECOND + 1 - _LOWEST_SECOND) * 256
    for step in range(span):
        second, third = divmod((start + step) % span, 256)
        yield f"127.{second + _LOWEST_SECOND}.{third}.{FIRST_HOST}"


def addresses(first: str, nodes: Iterable[str]) -> dict[str, str]:
    """Return an address for each node, counted up from `first` through the last number and then the third."""
    base = int(ipaddress.IPv4Address(first)) - FIRST_HOST
    per_third = LAST_HOST - FIRST_HOST + 1
    node_addresses = {}
    for position, node in enumerate(nodes):
        third, host = divmod(position, per_third)
        node_addresses[node] = str(ipaddress.IPv4Address(base + third * 256 + FIRST_HOST + host))
    return node_addresses


def _free(address: str, port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError:
            return False
    return True
