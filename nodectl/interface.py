"""The token `${interface}` in a service's environment: the network interface of the node's own address."""

import ipaddress
import socket
from collections.abc import Mapping
from typing import Final

from nodectl.errors import BadInputError

TOKEN: Final = "${interface}"  # noqa: S105 - no secret
_ADDRESS: Final = "VLLM_HOST_IP"


def with_interface(value: str, env: Mapping[str, str]) -> str:
    """Return `value` with the token replaced by the interface that has the address which `env` names.

    Raises `BadInputError` where none has it.
    """
    if TOKEN not in value or _ADDRESS not in env:
        return value
    import psutil  # noqa: PLC0415 - few services have the token, and every apply would wait for it

    address = ipaddress.IPv4Address(env[_ADDRESS])
    for name, found in psutil.net_if_addrs().items():
        for one in found:
            if one.family == socket.AF_INET and address in _held(one.address, one.netmask):
                return value.replace(TOKEN, name)
    raise BadInputError(
        f"no network interface of this node has the address {address}; correct it in the stack"
    )


def _held(address: str, netmask: str | None) -> ipaddress.IPv4Network:
    """Return the address alone, but of the loopback interface all: every 127.x.y.z is this machine."""
    alone = ipaddress.IPv4Network(address)
    loopback = alone.network_address.is_loopback and netmask
    return ipaddress.IPv4Network(f"{address}/{netmask}", strict=False) if loopback else alone
