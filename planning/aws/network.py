"""The network of a deployment on AWS: ranges, routes, every node's address, all before anything exists.

One subnet holds all GPU nodes, since EFA wants them close. Its way out is a NAT gateway; the ranges that may
ask the head are routed to the internet gateway instead, so that a head with an Elastic IP in that same subnet
answers by it, while the workers beside it have no public address.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from planning.values import Node
from settings.aws import AwsTarget

_PUBLIC_PREFIX: Final = 28
_GATEWAY: Final = 4
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
    """Range of the subnet with the NAT gateway and a dedicated head."""
    gateway: str | None
    """The NAT gateway's address in it; None without one."""
    direct: tuple[str, ...]
    """IPv4 ranges that the cluster's subnet answers to by the internet gateway."""
    public_head: bool
    """Whether the head gets an Elastic IP."""


def zone(target: AwsTarget) -> str:
    """Return the availability zone: the one that is given, else the region's first."""
    return target.zone or f"{target.region}a"


def network(target: AwsTarget) -> Network:
    """Return the network that `target` asks for."""
    given, region = target.network, target.region or ""
    whole = ipaddress.IPv4Network(given.cidr)
    existing = given.subnet_id is not None
    public_head = given.public_head if given.public_head is not None else not existing
    if existing:
        return Network(region, zone(target), given.cidr, given.cidr, None, None, (), public_head)
    public = _last(whole)
    return Network(
        region,
        zone(target),
        given.cidr,
        cluster=str(next(whole.subnets())),
        public=str(public),
        gateway=str(public[_GATEWAY]) if given.egress == "nat" else None,
        direct=tuple(sorted({*_ipv4(admins(target)), *_ipv4(clients(target))})) if public_head else (),
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
    where = network(target)
    cluster, first = ipaddress.IPv4Network(where.cluster), target.network.first_address
    found, number = {}, 0
    for node in nodes:
        if node.head and not node.gpus and where.public:
            found[node.name] = str(ipaddress.IPv4Network(where.public)[_PUBLIC_HEAD])
            continue
        found[node.name] = str(cluster[first + number])
        number += 1
    return found


def room(target: AwsTarget) -> int:
    """Return how many nodes find an address in the cluster's subnet; 0 or less where none does."""
    cluster = ipaddress.IPv4Network(network(target).cluster)
    return cluster.num_addresses - 1 - target.network.first_address


def _last(whole: ipaddress.IPv4Network) -> ipaddress.IPv4Network:
    size = 1 << (32 - _PUBLIC_PREFIX)
    return ipaddress.IPv4Network((int(whole.broadcast_address) - size + 1, _PUBLIC_PREFIX))


def _ipv4(ranges: Sequence[str]) -> list[str]:
    return [text for text in ranges if ":" not in text]
