"""Rules about openings of security groups, from standalone, inline and older forms of rules."""

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
"""A rule with at least this many ports counts as one of all ports."""

_WIDEST: Final = {4: 8, 6: 16}
"""IP version -> shortest prefix. A wider range is part of the world split up; no private range is wider."""

_PRIVATE: Final = tuple(
    ipaddress.ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")
)


@dataclass(frozen=True)
class Opening:
    """Sources that may connect to a range of ports. `first` and `last` are None for all ports."""

    protocol: str
    first: int | None
    last: int | None
    ranges: tuple[str, ...]
    lists: tuple[str, ...]
    """Managed prefix lists, whose ranges are decided elsewhere."""
    groups: tuple[str, ...]
    """Ids of other groups, as far as known, without the group itself."""

    @property
    def of_everything(self) -> bool:
        """Return whether it opens all protocols, or nearly all ports of one."""
        if self.protocol in _ALL_PROTOCOLS or self.first is None or self.last is None:
            return True
        return self.last - self.first >= _ALL_PORTS

    def opens(self, port: int) -> bool:
        """Return whether it opens a TCP port."""
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
    """Refuse NATS and etcd from all but groups and private ranges: they control the fleet."""
    for opening in openings(resource):
        for source in (text for text in opening.ranges if not is_private(text)):
            for port, service in COORDINATION.items():
                if opening.opens(port):
                    yield f"opens {service} ({port}) to {source}; let in the cluster's security group instead"


def all_protocols_are_for_the_group_itself(resource: Resource) -> Iterator[str]:
    """Refuse rules of all ports, except from the group itself, which EFA needs."""
    for opening in openings(resource):
        sources = (*opening.ranges, *opening.lists, *opening.groups)
        if opening.of_everything and sources:
            yield f"opens every port to {', '.join(sources)}; name the ports, or let in the group itself"


def openings(resource: Resource) -> list[Opening]:
    """Return the openings of a resource, from any kind of rule."""
    props = resource.props
    if resource.kind in GROUPS:
        return [_inline_rule(rule) for rule in items(props, "ingress")]
    if resource.kind == STANDALONE:
        return [_standalone_rule(props)]
    if resource.kind == OLDER and props.get("type") == "ingress":
        return [_inline_rule(props)]
    return []


def is_world(text: str) -> bool:
    """Return whether a range is the whole internet, or too large a part of it to be one network."""
    network = _range(text)
    return network is not None and network.prefixlen < _WIDEST[network.version]


def is_private(text: str) -> bool:
    """Return whether a range holds only private addresses."""
    network = _range(text)
    return network is not None and any(
        network.version == private.version and _is_within(network, private) for private in _PRIVATE
    )


_Network = ipaddress.IPv4Network | ipaddress.IPv6Network


def _range(text: str) -> _Network | None:
    """Return a range; None for text that EC2 itself refuses."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _is_within(inner: _Network, outer: _Network) -> bool:
    return inner.network_address in outer and inner.broadcast_address in outer


def _standalone_rule(props: Mapping[str, Any]) -> Opening:
    return _opening(
        props,
        protocol=props.get("ipProtocol"),
        ranges=[*texts(props, "cidrIpv4"), *texts(props, "cidrIpv6")],
        lists=texts(props, "prefixListId"),
        groups=_other_groups(props, texts(props, "referencedSecurityGroupId")),
    )


def _inline_rule(props: Mapping[str, Any]) -> Opening:
    return _opening(
        props,
        protocol=props.get("protocol"),
        ranges=[*texts(props, "cidrBlocks"), *texts(props, "ipv6CidrBlocks")],
        lists=texts(props, "prefixListIds"),
        groups=_other_groups(
            props, [*texts(props, "securityGroups"), *texts(props, "sourceSecurityGroupId")]
        ),
    )


def _other_groups(props: Mapping[str, Any], groups: Sequence[str]) -> tuple[str, ...]:
    """Return the groups other than the rule's own; none if its own is not known yet."""
    group_id = props.get("securityGroupId")
    return () if group_id is UNKNOWN else tuple(group for group in groups if group != group_id)


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
