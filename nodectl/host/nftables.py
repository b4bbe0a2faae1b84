"""A host's firewall as text for nft: a plain function from what its nodes open.

What the statements mean is in nft(8). Packets that do not begin a TCP connection pass: rules may be loaded
while connections are open that the kernel has not been following, and a scan learns nothing from them.
"""

import ipaddress
from collections.abc import Collection, Iterable, Iterator
from typing import Final

from nodectl.contract.firewall import Opening

TABLE: Final = "dynamo_multinode"

LEAVING: Final = "leaving"
"""Set of addresses that left the group, and may finish what they do."""

_COMMENT: Final = 100
"""Characters; nft takes 128 bytes."""

_PROTOCOLS: Final = (1, 2, 58)
"""Their names are in a file that small systems lack."""

NO_TABLE: Final = f"table inet {TABLE}\ndelete table inet {TABLE}\n"
"""Removes the table, whether it is there or not."""


def text(openings: Iterable[Opening], ssh: Collection[int]) -> str:
    """Return what replaces the table, as one transaction: nothing is ever let in or kept out in between."""
    openings = list(openings)
    rules = [*_rules(openings), *_leaving(openings)]
    return f"""\
# Written by dynamo-multinode, and loaded at boot by its own unit; changed here, it is written anew.
{NO_TABLE}table inet {TABLE} {{
    set {LEAVING} {{
        type ipv4_addr
        flags timeout
    }}
    chain inbound {{
        type filter hook input priority filter; policy drop;
        iif lo accept
        ct state established,related accept
        meta l4proto {_set(map(str, _PROTOCOLS))} accept comment "ICMP, IGMP, ICMPv6"
        tcp flags & (syn | ack) != syn accept
        udp sport 67 udp dport 68 accept comment "DHCP"
        ip6 saddr fe80::/10 udp dport 546 accept comment "DHCPv6"
        tcp dport {_set(map(str, sorted(ssh)))} accept comment "SSH"
{"".join(f"        {rule}{chr(10)}" for rule in rules)}    }}
}}
"""


def leaving(addresses: Collection[str], seconds: int) -> str:
    """Return what lets `addresses` connect for so long as they did before."""
    elements = ", ".join(f"{address} timeout {seconds}s" for address in sorted(addresses))
    return f"add element inet {TABLE} {LEAVING} {{ {elements} }}\n"


def _ports(opening: Opening) -> str:
    return str(opening.first) if opening.first == opening.last else f"{opening.first}-{opening.last}"


def _rules(openings: Iterable[Opening]) -> Iterator[str]:
    for opening in openings:
        for sources in _by_family(opening.sources):
            yield f'{sources}tcp dport {_ports(opening)} accept comment "{_comment("; ".join(opening.why))}"'


def _leaving(openings: Iterable[Opening]) -> Iterator[str]:
    """Yield the rules for those who left: all that the group may reach."""
    for ports in sorted({_ports(opening) for opening in openings if opening.group}):
        yield f'ip saddr @{LEAVING} tcp dport {ports} accept comment "left the group, may finish"'


def _by_family(sources: Collection[str]) -> Iterator[str]:
    """Yield what matches the sources; a rule matches addresses of one family."""
    if not sources:
        yield ""
    networks = [ipaddress.ip_network(source) for source in sources]
    ipv4 = ipaddress.collapse_addresses(n for n in networks if isinstance(n, ipaddress.IPv4Network))
    ipv6 = ipaddress.collapse_addresses(n for n in networks if isinstance(n, ipaddress.IPv6Network))
    for family, protocol, ranges in (("ip", "ipv4", list(ipv4)), ("ip6", "ipv6", list(ipv6))):
        if any(network.prefixlen == 0 for network in ranges):
            yield f"meta nfproto {protocol} "
        elif ranges:
            yield f"{family} saddr {_set(map(str, ranges))} "


def _set(items: Iterable[str]) -> str:
    return "{ " + ", ".join(items) + " }"


def _comment(words: str) -> str:
    plain = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else " " for c in words)
    return plain[:_COMMENT]
