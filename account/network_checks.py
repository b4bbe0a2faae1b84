"""Judge the account's answers about networks and images for a plan. Pure; only live answers refuse."""

import ipaddress
from collections.abc import Iterator
from typing import Final

from account import quotas
from account.fleet import Fleet
from account.requirements import Wanted
from account.responses import Answers, Route, Routes, VpcCount, live
from planning.aws.images import ROOT_DEVICE
from planning.text import counted
from settings.problems import Problem

SUBNET: Final = "target.network.subnetId"

INTERNET: Final = ("8.8.8.8/32", "185.199.108.1/32")
"""One address in each half of the internet: a default route may be written as two."""

_ARCHITECTURE: Final = "x86_64"
_SHOWN: Final = 3


def networks(wanted: Wanted, answers: Answers, fleet: Fleet) -> Iterator[Problem]:
    """Find networks that nodes could not be in, or could reach nothing from."""
    yield from _vpcs(wanted, answers)
    if not _all_there(wanted, answers, fleet):
        for routes in live(answers.routes):
            if routes is not None:
                yield from _ways(wanted, routes)
    yield from _taken(wanted, answers)


def image(wanted: Wanted, answers: Answers, fleet: Fleet) -> Iterator[Problem]:
    """Find an image that the instances could not boot from.

    The newest image of AWS is only booted by a stack that has no instances yet: others keep theirs.
    """
    newest = not wanted.image.startswith("ami-")
    there = any(fleet.owns(each.tags) for running in live(answers.instances) for each in running)
    for found in live(answers.machine_image):
        if found is None or (newest and there):
            continue
        if found.architecture not in ("", _ARCHITECTURE):
            message = (
                f"is for {found.architecture}, and the instance types are {_ARCHITECTURE}; take another image"
            )
            yield Problem("target.ami", message, found.id)
        if newest and found.root_device not in ("", ROOT_DEVICE):
            yield Problem(
                "target.ami",
                f"AWS's newest image calls its root {found.root_device}, expected {ROOT_DEVICE}; name it by "
                f"its id, and EC2 is asked: `ami: {found.id}`",
                found.id,
            )
        if not found.on_ebs:
            yield Problem(
                "target.ami", "boots from an instance store; take one whose root is a volume", found.id
            )
        if wanted.volume_gib < found.root_gib:
            yield Problem(
                "target.volume.sizeGib",
                f"the root of {found.id} is a snapshot of {found.root_gib} GiB; write at least that",
                str(wanted.volume_gib),
            )


def _vpcs(wanted: Wanted, answers: Answers) -> Iterator[Problem]:
    for found in live(answers.vpcs):
        for limits in live(answers.quotas):
            quota = limits.get(quotas.VPCS)
            if quota and _more(wanted, found) and found.others + wanted.vpcs > quota.limit:
                yield Problem(
                    "target.network",
                    f"needs a VPC of its own: the quota `{quota.name}` in {wanted.region} is {quota.limit}, "
                    f"{found.others} are in use by others; delete some, name an existing one (`vpcId`, "
                    f"`subnetId`), or ask for more ({quotas.page(quota.code, wanted.region)})",
                    wanted.cidr,
                )


def _more(wanted: Wanted, found: VpcCount) -> bool:
    return wanted.vpcs > found.ours


def _all_there(wanted: Wanted, answers: Answers, fleet: Fleet) -> bool:
    """Return whether every node of the plan runs already: its subnet then does what it must."""
    ours = [one for running in live(answers.instances) for one in running if fleet.owns(one.tags)]
    return len(ours) >= len(wanted.nodes)


def _ways(wanted: Wanted, routes: Routes) -> Iterator[Problem]:
    """Find a subnet that leads nowhere, or where it is of no use."""
    ways = [routes.to(where) for where in INTERNET]
    if wanted.fetched and not routes.by_list:
        yield from _way_out(wanted, routes, ways)
    for where in wanted.outside or (INTERNET[:1] if wanted.public_head else ()):
        way = routes.to(where)
        if not _by_gateway(way) and not routes.by_list:
            yield Problem(
                "target.network.publicHead",
                f"{wanted.subnet} answers {where} by {_named(way)}, so that no Elastic IP works there; "
                f"remove it and come from inside, or route {where} to an internet gateway in {routes.table}",
                "true",
            )
            return


def _way_out(wanted: Wanted, routes: Routes, ways: list[Route | None]) -> Iterator[Problem]:
    needed = ", ".join(wanted.fetched)
    without = len(wanted.nodes) - wanted.public_head
    for way in ways:
        if way is None or not way.alive or way.target == "local":
            yield Problem(
                SUBNET,
                f"leads to the internet by {_named(way)} ({routes.table}), and `up` fetches {needed}; "
                "add a route to a NAT gateway, or have all of it on the image or on S3",
                wanted.subnet or "",
            )
            return
        if _by_gateway(way) and without > 0:
            yield Problem(
                SUBNET,
                f"leads to the internet by {way.target}, which only public addresses can use: "
                f"{counted(without, 'node')} have none, and `up` fetches {needed}; take a subnet whose "
                "way out is a NAT gateway",
                wanted.subnet or "",
            )
            return


def _by_gateway(way: Route | None) -> bool:
    return way is not None and way.alive and way.target.startswith("igw-")


def _named(way: Route | None) -> str:
    if way is None:
        return "no route"
    return way.target if way.alive else f"{way.target or 'a route'}, which is gone"


def _taken(wanted: Wanted, answers: Answers) -> Iterator[Problem]:
    for interfaces in live(answers.interfaces):
        others = {each.address: each.id for each in interfaces}
        clash = [(name, at) for name, at in wanted.nodes.items() if at in others]
        if clash:
            names = ", ".join(f"{at} ({name}) by {others[at]}" for name, at in clash[:_SHOWN])
            more = f" and {len(clash) - _SHOWN} more" if len(clash) > _SHOWN else ""
            yield Problem(
                "target.network.firstAddress",
                f"addresses of {wanted.subnet} are taken: {names}{more}; {_free(wanted, set(others))}",
                str(wanted.first_address),
            )


def _free(wanted: Wanted, taken: set[str]) -> str:
    """Say from which address on all nodes find room: not EC2's own, the first four and the last."""
    whole, count = ipaddress.IPv4Network(wanted.cidr), len(wanted.nodes)
    for first in range(4, whole.num_addresses - count):
        if not any(str(whole[first + number]) in taken for number in range(count)):
            return f"write {first}, from where {count} in a row are free"
    return f"it has no {count} free ones in a row; take another subnet"
