"""Traffic that security groups let through, per interface, as openings that a packet filter can hold."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from tests.aws.cloud.refusals import Backend


@dataclass(frozen=True, order=True)
class Opening:
    """Packets of one kind that may pass an interface."""

    direction: Literal["ingress", "egress"]
    protocol: str
    """`tcp`, `udp`, `icmp`, or -1 for all."""
    first: int
    last: int
    peers: tuple[str, ...]
    """Addresses and ranges of IPv4 that they come from or go to."""


def openings(backend: Backend, eni: Any) -> tuple[Opening, ...]:
    """Return what the groups of an interface let through; nothing else passes."""
    found = set()
    for group in eni.group_set:
        for rule in group.ingress_rules:
            found.add(_opening("ingress", rule, backend))
        for rule in group.egress_rules:
            found.add(_opening("egress", rule, backend))
    return tuple(sorted(entry for entry in found if entry.peers))


def _opening(direction: Literal["ingress", "egress"], rule: Any, backend: Backend) -> Opening:
    peers = tuple(sorted(_peers(rule, backend)))
    return Opening(direction, rule.ip_protocol, rule.from_port or 0, rule.to_port or 65535, peers)


def _peers(rule: Any, backend: Backend) -> Iterator[str]:
    if rule.ip_range.get("CidrIp"):
        yield rule.ip_range["CidrIp"]
    named = rule.source_group.get("GroupId")
    for eni in backend.enis.values() if named else ():
        if eni.private_ip_address and named in (group.id for group in eni.group_set):
            yield eni.private_ip_address
