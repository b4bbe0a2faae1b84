"""Types for addresses, ranges and hosts in a stack file; values that no machine can have are refused."""

import base64
import ipaddress
import re
import struct
from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import AfterValidator

from remote.destination import Destination, destination, is_ipv6
from settings.section import USER_NAME, wrong

PRIVATE: Final = tuple(
    map(ipaddress.IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"))
)
"""Private ranges. The last is reserved for carriers, and used where the others are exhausted."""

PRIVATE_WORDS: Final = "10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16 or 100.64.0.0/10"

_UNUSABLE: Final = {
    ipaddress.IPv4Network("0.0.0.0/8"): "of 0.0.0.0/8, which no machine has",
    ipaddress.IPv4Network("127.0.0.0/8"): "a loopback address, which every machine has for itself",
    ipaddress.IPv4Network("169.254.169.254/32"): "where clouds tell an instance about itself",
    ipaddress.IPv4Network("224.0.0.0/4"): "a multicast address, which no machine has",
    ipaddress.IPv4Network("255.255.255.255/32"): "the broadcast address",
    ipaddress.IPv4Network("240.0.0.0/4"): "of 240.0.0.0/4, which no machine has",
}
_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_NUMBERS: Final = re.compile(r"(0[xX][0-9a-fA-F]*|[0-9]+)(\.(0[xX][0-9a-fA-F]*|[0-9]+))*")
"""Text that `inet_aton`, and so SSH, reads as an address: `10.1` is 10.0.0.1, `010.0.0.1` is 8.0.0.1."""

_MAX_NAME_LENGTH: Final = 253
_HOST_KEY_FIELDS: Final = {
    "ssh-ed25519": 2,
    "ssh-rsa": 3,
    **{f"ecdsa-sha2-nistp{bits}": 3 for bits in (256, 384, 521)},
}
"""Type of a host key -> number of its fields, including the type."""

_ED25519_BYTES: Final = 32
_RSA_BYTES: Final = 128
_HOST: Final = "a host name or an address that SSH connects to, such as gpu-1.example.org"
_BASTION: Final = (
    "`host`, `user@host`, `user@host:port` or `user@[IPv6]:port`, such as ops@bastion.example.org"
)


def _machine_address(text: str) -> str:
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise wrong("expected the IPv4 address that the other nodes reach it at, such as 10.0.0.11") from None
    if reason := _unusable_reason(address):
        raise wrong(f"is {reason}; expected an address that the other nodes can reach")
    return text


def _unusable_reason(address: ipaddress.IPv4Address) -> str:
    """Return the reason why no machine can have an address; empty if one can."""
    for block, reason in _UNUSABLE.items():
        if address in block:
            return reason
    for block in PRIVATE:
        if address == block.network_address:
            return f"the address of the network {block} itself"
        if address == block.broadcast_address:
            return f"the broadcast address of {block}"
    return ""


def _ssh_host(text: str) -> str:
    """Check a host for SSH. Port and user have keys of their own."""
    if "://" in text or "/" in text:
        raise wrong(f"expected {_HOST}: no URL")
    if "@" in text:
        raise wrong(f"expected {_HOST}; write who logs in as `user`")
    if text.startswith("["):
        raise wrong(f"expected {_HOST}, an IPv6 address without brackets; write a port as `port`")
    if ":" in text and not is_ipv6(text):
        raise wrong(f"expected {_HOST}; write a port as `port`")
    _check_host(text, _HOST)
    return text


def _check_host(host: str, expected: str) -> None:
    if is_ipv6(host):
        address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.IPv6Address(host)
        if address.is_unspecified or address.is_multicast:
            raise wrong(f"expected {expected}: no machine has this address")
    elif _NUMBERS.fullmatch(host):
        _check_ipv4(host, expected)
    elif not _is_name(host.removesuffix(".")):
        raise wrong(f"expected {expected}")


def _check_ipv4(host: str, expected: str) -> None:
    try:
        address = ipaddress.IPv4Address(host)
    except ValueError:
        raise wrong(f"expected {expected}: an IPv4 address has four numbers up to 255") from None
    reason = "" if address.is_loopback else _unusable_reason(address)  # loopback may be a tunnel's end
    if reason:
        raise wrong(f"expected {expected}: this is {reason}")


def _is_name(host: str) -> bool:
    return len(host) <= _MAX_NAME_LENGTH and all(map(_LABEL.fullmatch, host.split(".")))


def _bastion(text: str) -> str:
    try:
        parts = destination(text)
    except ValueError:
        raise wrong(f"expected {_BASTION}") from None
    if parts.user is not None and not USER_NAME.fullmatch(parts.user):
        raise wrong(f"expected {_BASTION}: its user is no name of a user, and no password may stand here")
    if "/" in text:
        raise wrong(f"expected {_BASTION}: no URL")
    _check_host(parts.host, _BASTION)
    if parts.port is not None and not (parts.port.isdecimal() and 0 < int(parts.port) < 65536):
        raise wrong("expected a port from 1 to 65535 after the colon, such as ops@bastion.example.org:2222")
    return text


def same_host(host: str) -> str:
    """Return a canonical form of a host: lower case, no trailing dot, one spelling of IPv6."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host.lower().removesuffix(".")
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def same_bastion(bastion: str | None) -> str | None:
    """Return a canonical form of a bastion's host and port."""
    if bastion is None:
        return None
    parsed: Destination = destination(bastion)
    return f"{same_host(parsed.host)} {parsed.port or 22}"


def _network_range(text: str) -> str:
    expected = "expected an address or range such as 203.0.113.7 or 203.0.113.0/24"
    if "%" in text:
        raise wrong(f"{expected}, without the scope after %")
    try:
        network = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise wrong(expected) from None
    _check_range(text, network)
    return str(network)


def _check_range(text: str, network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> None:
    address, _, prefix = text.partition("/")
    if prefix and ipaddress.ip_address(address) != network.network_address:
        host = ipaddress.ip_network(address)
        raise wrong(
            f"has bits set beyond its /{network.prefixlen}; write {network}, or {host} for one address"
        )
    if network.network_address.is_unspecified and network.prefixlen == network.max_prefixlen:
        raise wrong(f"is no address of a machine; write {address}/0 if everybody is meant")
    if network.is_multicast or (network.version == 4 and network.is_reserved):
        raise wrong("is a range that nobody connects from: multicast or reserved")


def _host_key(text: str) -> str:
    kind, _, encoded = text.partition(" ")
    expected = (
        "expected type and key, such as `ssh-ed25519 AAAAC3…`: the first two words of the host's "
        "/etc/ssh/ssh_host_ed25519_key.pub"
    )
    if kind not in _HOST_KEY_FIELDS:
        raise wrong(expected)
    try:
        fields = list(_fields(base64.b64decode(encoded, validate=True)))
    except (ValueError, struct.error):
        raise wrong(f"{expected}; this one is cut off or mistyped") from None
    if not _is_key(kind, fields):
        raise wrong(f"{expected}; this one is no key of type {kind}")
    return text


def _fields(blob: bytes) -> Iterator[bytes]:
    """Yield the fields of a public key in SSH's wire format: each with its length before it."""
    while blob:
        (length,) = struct.unpack(">I", blob[:4])
        field, blob = blob[4 : 4 + length], blob[4 + length :]
        if len(field) != length:
            raise ValueError(length)
        yield field


def _is_key(kind: str, fields: list[bytes]) -> bool:
    if len(fields) != _HOST_KEY_FIELDS[kind] or fields[0] != kind.encode():
        return False
    if kind == "ssh-ed25519":
        return len(fields[1]) == _ED25519_BYTES
    if kind == "ssh-rsa":
        return len(fields[2]) >= _RSA_BYTES
    return fields[1] == kind.rpartition("-")[2].encode() and fields[2].startswith(b"\x04")


MachineAddress = Annotated[str, AfterValidator(_machine_address)]
SshHost = Annotated[str, AfterValidator(_ssh_host)]
Bastion = Annotated[str, AfterValidator(_bastion)]
HostKey = Annotated[str, AfterValidator(_host_key)]
NetworkRange = Annotated[str, AfterValidator(_network_range)]
"""An address or range, normalised to a range."""
