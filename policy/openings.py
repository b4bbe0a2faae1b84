"""Openings of security groups: standalone rules, rules inside of groups, and those of older programs."""

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from policy.resource import UNKNOWN, Resource, items, texts

GROUPS: Final = ("aws:ec2/securityGroup:SecurityGroup", "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup")
STANDALONE: Final = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
OLDER: Final = "aws:ec2/securityGroupRule:SecurityGroupRule"

SSH: Final = 22
COORDINATION: Final = {4222: "NATS", 8222: "NATS's monitoring", 2379: "etcd", 2380: "etcd's peers"}
_ALL_PROTOCOLS: Final = ("-1", "all")
_TCP: Final = ("tcp", "6")
_ALL_PORTS: Final = 60000
"""A rule of as many ports as this is one of all ports, whatever its ends are."""

_WIDEST: Final = {4: 8, 6: 16}
"""Prefix lengths: a wider range is the world in parts. None of the private ranges is wider."""

_PRIVATE: Final = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)


@dataclass(frozen=True)
class Opening:
    """Who may connect to which ports. All ports: `first` and `last` are None."""

    protocol: str
    first: int | None
    last: int | None
    ranges: tuple[str, ...]
    lists: tuple[str, ...]
    """Managed prefix lists: ranges that somebody else decides."""
    groups: tuple[str, ...]
    """Other groups by id, as far as they are known and are not the group itself."""

    @property
    def of_everything(self) -> bool:
        """Whether it opens all protocols, or nearly all ports of one."""
        if self.protocol in _ALL_PROTOCOLS or self.first is None or self.last is None:
            return True
        return self.last - self.first >= _ALL_PORTS

    def opens(self, port: int) -> bool:
        """Whether it opens a port of TCP."""
        if self.of_everything:
            return self.protocol in (*_ALL_PROTOCOLS, *_TCP)
        within = self.first is not None and self.last is not None and self.first <= port <= self.last
        return within and self.protocol in _TCP


def ssh_is_for_administrators(resource: Resource) -> Iterator[str]:
    """Refuse SSH from everywhere."""
    for opening in openings(resource):
        for world in filter(is_world, opening.ranges):
            if opening.opens(SSH):
                yield (
                    f"opens SSH (22) to {world}, which is everybody; name the administrators' ranges "
                    "in `target.adminRanges`, or use `access: ssm`"
                )


def coordination_is_for_the_cluster(resource: Resource) -> Iterator[str]:
    """Refuse NATS and etcd from all but groups and private ranges: who reaches them rules the fleet."""
    for opening in openings(resource):
        for outside in (text for text in opening.ranges if not is_private(text)):
            for port, who in COORDINATION.items():
                if opening.opens(port):
                    yield f"opens {who} ({port}) to {outside}; let in the cluster's security group instead"


def all_protocols_are_for_the_group_itself(resource: Resource) -> Iterator[str]:
    """Refuse rules of all ports from anything but the group itself, which EFA needs."""
    for opening in openings(resource):
        outside = (*opening.ranges, *opening.lists, *opening.groups)
        if opening.of_everything and outside:
            yield f"opens every port to {', '.join(outside)}; name the ports, or let in the group itself"


def openings(resource: Resource) -> list[Opening]:
    """Return what a resource lets in, whatever kind of rule it is."""
    props = resource.props
    if resource.kind in GROUPS:
        return [_inside(rule) for rule in items(props, "ingress")]
    if resource.kind == STANDALONE:
        return [_standalone(props)]
    if resource.kind == OLDER and props.get("type") == "ingress":
        return [_inside(props)]
    return []


def is_world(text: str) -> bool:
    """Whether a range is everybody, or a part of everybody too large to be anybody in particular."""
    found = _range(text)
    return found is not None and found.prefixlen < _WIDEST[found.version]


def is_private(text: str) -> bool:
    """Whether a range holds private addresses alone."""
    found = _range(text)
    return found is not None and any(
        found.version == private.version and _within(found, private) for private in _PRIVATE
    )


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _range(text: str) -> _Network | None:
    """Return a range; None for what EC2 will refuse itself."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _within(inner: _Network, outer: _Network) -> bool:
    return inner.network_address in outer and inner.broadcast_address in outer


def _standalone(props: Mapping[str, Any]) -> Opening:
    return _opening(
        props,
        protocol=props.get("ipProtocol"),
        ranges=[*texts(props, "cidrIpv4"), *texts(props, "cidrIpv6")],
        lists=texts(props, "prefixListId"),
        groups=_others(props, texts(props, "referencedSecurityGroupId")),
    )


def _inside(props: Mapping[str, Any]) -> Opening:
    return _opening(
        props,
        protocol=props.get("protocol"),
        ranges=[*texts(props, "cidrBlocks"), *texts(props, "ipv6CidrBlocks")],
        lists=texts(props, "prefixListIds"),
        groups=_others(props, [*texts(props, "securityGroups"), *texts(props, "sourceSecurityGroupId")]),
    )


def _others(props: Mapping[str, Any], groups: Sequence[str]) -> tuple[str, ...]:
    """Return the groups that are certainly another one: which one the rule is of may not be known yet."""
    own = props.get("securityGroupId")
    return () if own is UNKNOWN else tuple(group for group in groups if group != own)


def _opening(
    props: Mapping[str, Any],
    *,
    protocol: object,
    ranges: Sequence[str],
    lists: Sequence[str],
    groups: Sequence[str],
) -> Opening:
    return Opening(
        protocol=str(protocol).lower(),
        first=_port(props.get("fromPort")),
        last=_port(props.get("toPort")),
        ranges=tuple(ranges),
        lists=tuple(lists),
        groups=tuple(groups),
    )


def _port(value: object) -> int | None:
    return int(value) if isinstance(value, int | float) else None
