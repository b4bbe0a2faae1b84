"""The network interface that a node's services use: the one that has the node's own address.

Dynamo, NIXL and vLLM are told the address; Gloo, NCCL and UCX take names of interfaces instead, and use the
first address of what they find. Left alone they take another network, a bridge of docker's, or 127.0.0.1, and
ranks meet nobody. Tokens in a service's environment stand for what is known on the node alone.
"""

import errno
import ipaddress
import socket
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from nodectl.common.errors import BadInputError

TOKEN: Final = "${interface}"  # noqa: S105 - no secret
"""The interface's name."""

WITHOUT_RDMA: Final = "${interface-without-rdma}"
"""Its name where UCX has nothing better; elsewhere the variable is left out, and UCX takes its RDMA cards."""

_TOKENS: Final = (TOKEN, WITHOUT_RDMA)
_ADDRESS: Final = "VLLM_HOST_IP"
_LOOPBACK: Final = "lo"
_RDMA: Final = Path("/sys/class/infiniband")
_ACTIVE: Final = "ACTIVE"
_NOT_UCX: Final = "efa"
"""Driver of cards that are listed as RDMA's and that NIXL uses by libfabric."""


class Interface(NamedTuple):
    """An interface, and its first IPv4 address, which is what programs use that are told its name."""

    name: str
    first: ipaddress.IPv4Address


def environment(env: Mapping[str, str], *, spans: bool) -> dict[str, str]:
    """Return a service's environment with tokens filled.

    Raises `BadInputError` where no interface has the address that `env` names, or where others that are told
    an interface's name would use another address: ranks of an engine that `spans` nodes, UCX without RDMA.
    """
    if _ADDRESS not in env or not any(token in value for value in env.values() for token in _TOKENS):
        return dict(env)
    address = ipaddress.IPv4Address(env[_ADDRESS])
    interface = _interface(address)
    omit = address.is_loopback or _has_rdma()
    variables = {name: value for name, value in env.items() if not (omit and WITHOUT_RDMA in value)}
    if spans or any(WITHOUT_RDMA in value for value in variables.values()):
        _check_first(address, interface)
    return {name: _filled(value, interface.name) for name, value in variables.items()}


def check_here(addresses: Iterable[str]) -> None:
    """Raise `BadInputError` for the first address that this machine has not: nothing can listen there."""
    for address in sorted(set(addresses)):
        with socket.socket() as probe:
            try:
                probe.bind((address, 0))
            except OSError as error:
                if error.errno == errno.EADDRNOTAVAIL:
                    raise BadInputError(_nowhere(address)) from None


def _filled(value: str, name: str) -> str:
    for token in _TOKENS:
        value = value.replace(token, name)
    return value


def _interface(address: ipaddress.IPv4Address) -> Interface:
    """Return the interface that has an address; on the loopback interface every 127.x.y.z is."""
    if address.is_loopback:
        return Interface(_LOOPBACK, address)
    for name, addresses in _addresses().items():
        if address in addresses:
            return Interface(name, addresses[0])
    raise BadInputError(_nowhere(str(address)))


def _addresses() -> dict[str, list[ipaddress.IPv4Address]]:
    """Return the IPv4 addresses of each interface, in the kernel's order; `eth0:1` is a label on eth0."""
    import psutil  # noqa: PLC0415 - few services have a token, and every apply would wait for it

    addresses: dict[str, list[ipaddress.IPv4Address]] = {}
    for label, items in sorted(psutil.net_if_addrs().items(), key=lambda entry: ":" in entry[0]):
        ipv4 = [ipaddress.IPv4Address(item.address) for item in items if item.family == socket.AF_INET]
        addresses.setdefault(label.partition(":")[0], []).extend(ipv4)
    return addresses


def _check_first(address: ipaddress.IPv4Address, interface: Interface) -> None:
    if interface.first == address:
        return
    if interface.name == _LOOPBACK:
        raise BadInputError(
            f"the node's address {address} lies on the interface {_LOOPBACK}, whose first is "
            f"{interface.first}: engines on several nodes would meet there, each alone; write the address of "
            "a network interface in the stack file"
        )
    raise BadInputError(
        f"the node's address {address} is not the first of its interface {interface.name}, which is "
        f"{interface.first} and what Gloo, NCCL and UCX use; write {interface.first} in the stack file, or "
        f"give {address} an interface of its own"
    )


def _has_rdma() -> bool:
    """Return whether UCX has an RDMA card here whose link is up."""
    return any(
        _ACTIVE in _text(state)
        for state in _RDMA.glob("*/ports/*/state")
        if (state.parents[2] / "device" / "driver").resolve().name != _NOT_UCX
    )


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:  # the card went
        return ""


def _nowhere(address: str) -> str:
    existing = ", ".join(
        f"{other} ({name})"
        for name, addresses in _addresses().items()
        for other in addresses
        if name != _LOOPBACK
    )
    return (
        f"no network interface of this node has the address {address}; it has {existing or 'none'}: correct "
        "the address in the stack file"
    )
