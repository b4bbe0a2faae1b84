"""The network of a deployment on AWS: ranges, routes, every node's address, all before anything exists.

One subnet holds all GPU nodes, since EFA wants them close. Its way out is a NAT gateway; the ranges that may
ask the head are routed to the internet gateway instead, so that a head with an Elastic IP in that same subnet
answers by it, while the workers beside it have no public address.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from planning.values import Node
from settings.aws.target import AwsTarget

EVERYWHERE: Final = "0.0.0.0/0"

ENDPOINTS: Final = ("ec2", "ec2messages", "ssm", "ssmmessages")
"""Interface endpoints of `egress: endpoints`, by the last part of their service name. S3's is a gateway."""

WIDEST: Final = 8
"""Prefix length of the widest range that is routed past the NAT gateway: all of it is lost as a way out."""

_PUBLIC_PREFIX: Final = 28
_GATEWAY: Final = 4
_FIRST_ENDPOINT: Final = 5
_PUBLIC_HEAD: Final = 10
"""Of the public subnet: the first four and the last address of each subnet are EC2's own."""


@dataclass(frozen=True)
class Network:
    """Ranges and routes. `public` and `direct` are None and empty in an existing network."""

    region: str
    zone: str
    cidr: str
    cluster: str
    """Range of the subnet with the GPU nodes."""
    public: str | None
    """Range of the subnet with the NAT gateway or the endpoints, and a dedicated head."""
    gateway: str | None
    """The NAT gateway's address in it; None without one."""
    endpoints: Mapping[str, str]
    """Address in it of each interface endpoint (`ENDPOINTS`); empty with a NAT gateway.

    Left to EC2, an endpoint might take a node's address.
    """
    direct: tuple[str, ...]
    """IPv4 ranges that the cluster's subnet answers to by the internet gateway: who asks a head in it."""
    public_head: bool
    """Whether the head gets an Elastic IP."""


def zone(target: AwsTarget) -> str:
    """Return the availability zone: the one that is given, else the region's first."""
    return target.zone or f"{target.region}a"


def network(target: AwsTarget, *, colocated: bool = True) -> Network:
    """Return the network that `target` asks for; `colocated`: the head is in the cluster's subnet."""
    settings, region = target.network, target.region or ""
    if settings.subnet_id is not None:
        return Network(
            region,
            zone(target),
            settings.cidr,
            settings.cidr,
            None,
            None,
            {},
            (),
            settings.public_head or False,
        )
    block = ipaddress.IPv4Network(settings.cidr)
    public, nat = _last(block), settings.egress == "nat"
    external_ranges = _outside(block, [*admins(target), *clients(target)])
    public_head = bool(external_ranges) if settings.public_head is None else settings.public_head
    return Network(
        region,
        zone(target),
        settings.cidr,
        cluster=str(next(block.subnets())),
        public=str(public),
        gateway=str(public[_GATEWAY]) if nat else None,
        endpoints={}
        if nat
        else {name: str(public[_FIRST_ENDPOINT + index]) for index, name in enumerate(ENDPOINTS)},
        direct=tuple(filter(_narrow, external_ranges)) if public_head and colocated else (),
        public_head=public_head,
    )


def admins(target: AwsTarget) -> Sequence[str]:
    """Return who may connect to SSH on the head: nobody where Session Manager takes its place."""
    return target.admin_ranges if target.access == "proxy" else ()


def clients(target: AwsTarget) -> Sequence[str]:
    """Return who may ask the endpoint."""
    return target.client_ranges or target.admin_ranges


def addresses(target: AwsTarget, nodes: Sequence[Node]) -> Mapping[str, str]:
    """Return the address of every node by its name; a node keeps it as long as it keeps its place."""
    layout = network(target)
    cluster, first = ipaddress.IPv4Network(layout.cluster), target.network.first_address
    by_node, number = {}, 0
    for node in nodes:
        if node.head and not node.gpus and layout.public:
            by_node[node.name] = str(ipaddress.IPv4Network(layout.public)[_PUBLIC_HEAD])
            continue
        by_node[node.name] = str(cluster[first + number])
        number += 1
    return by_node


def room(target: AwsTarget) -> int:
    """Return how many nodes find an address in the cluster's subnet; 0 or less where none does."""
    cluster = ipaddress.IPv4Network(network(target).cluster)
    return cluster.num_addresses - 1 - target.network.first_address


def _last(block: ipaddress.IPv4Network) -> ipaddress.IPv4Network:
    size = 1 << (32 - _PUBLIC_PREFIX)
    return ipaddress.IPv4Network((int(block.broadcast_address) - size + 1, _PUBLIC_PREFIX))


def _narrow(text: str) -> bool:
    return ipaddress.IPv4Network(text).prefixlen >= WIDEST


def _outside(block: ipaddress.IPv4Network, ranges: Iterable[str]) -> tuple[str, ...]:
    """Return the IPv4 ranges that are not of the network itself: no route may lead those elsewhere."""
    return tuple(
        sorted(
            {text for text in ranges if ":" not in text and not ipaddress.IPv4Network(text).subnet_of(block)}
        )
    )
