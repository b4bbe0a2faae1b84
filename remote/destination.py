"""Destination of SSH, as people write it: `[user@]host[:port]`, an IPv6 address in brackets. Pure."""

import ipaddress
import re
from typing import Final, NamedTuple

_DESTINATION: Final = re.compile(
    r"(?:(?P<user>.*)@)?(?:\[(?P<bracketed>[^\[\]@]*)\]|(?P<host>[^\[\]@:]*))(?::(?P<port>.*))?", re.DOTALL
)


class Destination(NamedTuple):
    """User, host and port; None leaves a choice to the operator's SSH configuration."""

    user: str | None
    host: str
    port: str | None


def destination(text: str) -> Destination:
    """Return the parts of a destination; an IPv6 address without brackets is one whole, and has no port.

    Raises ValueError for text that has no such parts.
    """
    user, separator, host = text.rpartition("@")
    if is_ipv6(host):
        return Destination(user if separator else None, host, None)
    match = _DESTINATION.fullmatch(text)
    if not match or (match["bracketed"] is not None and not is_ipv6(match["bracketed"])):
        raise ValueError(text)
    return Destination(match["user"], match["bracketed"] or match["host"], match["port"])


def is_ipv6(host: str) -> bool:
    """Return whether a host is an IPv6 address, as it stands without brackets."""
    try:
        ipaddress.IPv6Address(host)
    except ValueError:
        return False
    return True
