"""Check the account's answers about networks and images against a plan. Pure. Only live answers refuse."""

import ipaddress
from collections.abc import Iterator
from typing import Final

from account import quotas
from account.fleet import Fleet
from account.requirements import Requirements
from account.responses import Answers, Route, Routes, VpcCount, live
from planning.aws.images import ROOT_DEVICE
from planning.text import counted
from settings.problems import Problem

SUBNET: Final = "target.network.subnetId"

INTERNET: Final = ("8.8.8.8/32", "185.199.108.1/32")
"""One address in each half of the IPv4 range: a default route may be written as two halves."""

_ARCHITECTURE: Final = "x86_64"
_NAMED_CONFLICTS: Final = 3


def networks(requirements: Requirements, answers: Answers, fleet: Fleet) -> Iterator[Problem]:
    """Yield problems of the network: no room for a VPC, no route out, addresses in use."""
    yield from _vpcs(requirements, answers)
    if not _all_nodes_exist(requirements, answers, fleet):
        for routes in live(answers.routes):
            if routes is not None:
                yield from _routes(requirements, routes)
    yield from _address_conflicts(requirements, answers)


def image(requirements: Requirements, answers: Answers, fleet: Fleet) -> Iterator[Problem]:
    """Yield problems of the image that would keep instances from booting.

    AWS's newest image is checked only for a stack without instances: existing instances keep theirs.
    """
    newest = not requirements.image.startswith("ami-")
    has_instances = bool(fleet.instances(answers))
    for machine in live(answers.machine_image):
        if machine is None or (newest and has_instances):
            continue
        if machine.architecture not in ("", _ARCHITECTURE):
            message = (
                f"is for {machine.architecture}, and the instance types are {_ARCHITECTURE}; take another "
                "image"
            )
            yield Problem("target.ami", message, machine.id)
        if newest and machine.root_device not in ("", ROOT_DEVICE):
            yield Problem(
                "target.ami",
                f"AWS's newest image calls its root {machine.root_device}, expected {ROOT_DEVICE}; name it "
                f"by its id, and EC2 is asked: `ami: {machine.id}`",
                machine.id,
            )
        if not machine.on_ebs:
            yield Problem(
                "target.ami", "boots from an instance store; take one whose root is a volume", machine.id
            )
        if requirements.volume_gib < machine.root_gib:
            yield Problem(
                "target.volume.sizeGib",
                f"the root of {machine.id} is a snapshot of {machine.root_gib} GiB; write at least that",
                str(requirements.volume_gib),
            )


def _vpcs(requirements: Requirements, answers: Answers) -> Iterator[Problem]:
    for vpcs in live(answers.vpcs):
        for limits in live(answers.quotas):
            quota = limits.get(quotas.VPCS)
            if quota and _creates_vpc(requirements, vpcs) and vpcs.foreign + requirements.vpcs > quota.limit:
                yield Problem(
                    "target.network",
                    f"needs a VPC of its own: the quota `{quota.name}` in {requirements.region} is "
                    f"{quota.limit}, {vpcs.foreign} are in use by others; delete some, name an existing "
                    "one (`vpcId`, `subnetId`), or ask for more "
                    f"({quotas.page(quota.code, requirements.region)})",
                    requirements.cidr,
                )


def _creates_vpc(requirements: Requirements, vpcs: VpcCount) -> bool:
    return requirements.vpcs > vpcs.own


def _all_nodes_exist(requirements: Requirements, answers: Answers, fleet: Fleet) -> bool:
    """Return whether every node of the plan already has an instance, which shows that the subnet works."""
    return len(fleet.instances(answers)) >= len(requirements.nodes)


def _routes(requirements: Requirements, routes: Routes) -> Iterator[Problem]:
    """Yield problems of the subnet's routes: to the internet, and back to clients of a public head."""
    internet_routes = [routes.to(destination) for destination in INTERNET]
    if requirements.downloads and not routes.has_prefix_lists:
        yield from _internet_access(requirements, routes, internet_routes)
    for destination in requirements.public_ranges or (INTERNET[:1] if requirements.public_head else ()):
        route = routes.to(destination)
        if not _by_internet_gateway(route) and not routes.has_prefix_lists:
            yield Problem(
                "target.network.publicHead",
                f"{requirements.subnet} answers {destination} by {_description(route)}, so that no Elastic "
                f"IP works there; remove it and come from inside, or route {destination} to an internet "
                f"gateway in {routes.table}",
                "true",
            )
            return


def _internet_access(
    requirements: Requirements, routes: Routes, internet_routes: list[Route | None]
) -> Iterator[Problem]:
    downloads = ", ".join(requirements.downloads)
    private_nodes = len(requirements.nodes) - requirements.public_head
    for route in internet_routes:
        if route is None or not route.alive or route.target == "local":
            yield Problem(
                SUBNET,
                f"leads to the internet by {_description(route)} ({routes.table}), and `up` fetches "
                f"{downloads}; add a route to a NAT gateway, or have all of it on the image or on S3",
                requirements.subnet or "",
            )
            return
        if _by_internet_gateway(route) and private_nodes > 0:
            yield Problem(
                SUBNET,
                f"leads to the internet by {route.target}, which only public addresses can use: "
                f"{counted(private_nodes, 'node')} have none, and `up` fetches {downloads}; take a subnet "
                "whose way out is a NAT gateway",
                requirements.subnet or "",
            )
            return


def _by_internet_gateway(route: Route | None) -> bool:
    return route is not None and route.alive and route.target.startswith("igw-")


def _description(route: Route | None) -> str:
    if route is None:
        return "no route"
    return route.target if route.alive else f"{route.target or 'a route'}, which is gone"


def _address_conflicts(requirements: Requirements, answers: Answers) -> Iterator[Problem]:
    for interfaces in live(answers.interfaces):
        owners = {interface.address: interface.id for interface in interfaces}
        conflicts = [(name, address) for name, address in requirements.nodes.items() if address in owners]
        if conflicts:
            names = ", ".join(
                f"{address} ({name}) by {owners[address]}" for name, address in conflicts[:_NAMED_CONFLICTS]
            )
            unnamed = len(conflicts) - _NAMED_CONFLICTS
            remainder = f" and {unnamed} more" if unnamed > 0 else ""
            yield Problem(
                "target.network.firstAddress",
                f"addresses of {requirements.subnet} are taken: {names}{remainder}; "
                f"{_first_free_address(requirements, set(owners))}",
                str(requirements.first_address),
            )


def _first_free_address(requirements: Requirements, in_use: set[str]) -> str:
    """Return the remedy: a `firstAddress` with enough free ones. EC2 keeps the first four and the last."""
    subnet, count = ipaddress.IPv4Network(requirements.cidr), len(requirements.nodes)
    for start in range(4, subnet.num_addresses - count):
        if not any(str(subnet[start + number]) in in_use for number in range(count)):
            return f"write {start}, from where {count} in a row are free"
    return f"it has no {count} free ones in a row; take another subnet"
