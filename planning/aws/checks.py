"""Refuse what EC2 would refuse, or what would leave a deployment unreachable or open."""

import ipaddress
from collections.abc import Iterator, Sequence
from typing import Final

from planning.aws import egress
from planning.aws.capability import too_old
from planning.aws.catalogue import INSTANCE_TYPES, REGENERATE, near
from planning.aws.groups import RULES_MOST
from planning.aws.network import WIDEST, admins, clients, network, room
from planning.text import counted
from planning.values import Node
from settings.aws.target import AwsTarget
from settings.models import Settings
from settings.problems import Problem

_RESERVED: Final = ("capacity-block", "reservation")


def instance_types(settings: Settings, target: AwsTarget) -> Iterator[Problem]:
    """Find types that are not known, have not what is asked of them, or cannot be bought so."""
    instance = INSTANCE_TYPES.get(target.instance_type)
    if instance is None or not instance.gpus:
        fault = "is not known" if instance is None else "has no GPU"
        yield Problem(
            "target.instanceType",
            f"{fault}; did you mean {' or '.join(near(target.instance_type, gpus=True)) or 'p5.48xlarge'}? "
            f"`{REGENERATE}` takes up types that are newer",
            target.instance_type,
        )
    elif (reason := too_old(instance)) is not None:
        yield Problem("target.instanceType", reason, instance.name)
    elif target.efa and not instance.efa_cards:
        yield Problem("target.efa", f"{instance.name} has no EFA; remove it or take a type that has", "true")
    elif target.purchase.option not in (*instance.usage, "reservation"):
        yield Problem(
            "target.purchase.option",
            f"{instance.name} is not sold so, expected {' or '.join(instance.usage)} or reservation; "
            f"`{REGENERATE}` takes up what EC2 has begun to sell",
            target.purchase.option,
        )
    yield from _head(settings, target)


def _head(settings: Settings, target: AwsTarget) -> Iterator[Problem]:
    is_explicit = "head_instance_type" in target.model_fields_set
    if settings.head.placement == "colocated":
        if is_explicit:
            yield Problem(
                "target.headInstanceType",
                "is only for a head without workers; write `head: dedicated` or remove it",
                target.head_instance_type,
            )
        return
    instance = INSTANCE_TYPES.get(target.head_instance_type)
    if instance is None or instance.gpus:
        fault = "is not known" if instance is None else "has GPUs, which a dedicated head would not use"
        types = near(target.head_instance_type, gpus=False) or ["m7i.2xlarge"]
        yield Problem(
            "target.headInstanceType",
            f"{fault}; expected an x86-64 type without GPUs such as {' or '.join(types)}",
            target.head_instance_type,
        )


def reachability(settings: Settings, target: AwsTarget) -> Iterator[Problem]:
    """Find deployments that nobody could reach, or that could not reach what they need."""
    if target.region is None:
        yield Problem("target.region", "missing: add `aws:region: us-east-1` below `config:`")
        return  # the network cannot be planned without
    if target.purchase.option in _RESERVED and target.zone is None and not target.network.subnet_id:
        yield Problem(
            "target.zone",
            f"missing: {target.purchase.reservation_id} is in one zone; write that zone",
        )
    if target.network.subnet_id is not None and "cidr" not in target.network.model_fields_set:
        yield Problem(
            "target.network.cidr", "missing: add the range of the subnet, such as `cidr: 10.1.2.0/24`"
        )
    yield from _ways_in(settings, target)
    yield from egress.problems(settings, target)


def _ways_in(settings: Settings, target: AwsTarget) -> Iterator[Problem]:
    layout = network(target)
    new_network = target.network.subnet_id is None
    if target.access == "proxy" and not target.admin_ranges:
        yield Problem(
            "target.adminRanges",
            "missing: `up` reaches the nodes by SSH to the head; name the ranges that operators and CI come "
            "from, or write `access: ssm`",
        )
    elif (
        target.access == "proxy"
        and new_network
        and target.network.public_head is None
        and not layout.public_head
    ):
        yield Problem(
            "target.adminRanges",
            f"are all within {target.network.cidr}, the network that `up` makes; name the "
            "ranges that operators and CI come from, or write `access: ssm`",
            ", ".join(target.admin_ranges),
        )
    elif target.access == "proxy" and new_network and not layout.public_head:
        yield Problem(
            "target.network.publicHead",
            "leaves no way to the head in a network of its own; remove it, or write `access: ssm`",
            "false",
        )
    if settings.head.placement == "colocated":
        yield from _routable(target)
    count = len(admins(target)) + len(clients(target))
    if count > RULES_MOST:
        yield Problem(
            "target.clientRanges",
            f"with `adminRanges` they make {count} rules of a security group, expected at most {RULES_MOST}; "
            "name wider ranges",
        )


def _routable(target: AwsTarget) -> Iterator[Problem]:
    """Find ranges so wide that the workers beside the head would lose their way to the internet.

    What a head with a public address answers to goes past the NAT gateway, for the whole subnet.
    """
    if target.network.subnet_id is not None or not network(target).public_head:
        return
    for text in dict.fromkeys([*admins(target), *clients(target)]):
        if ipaddress.IPv4Network(text).prefixlen < WIDEST:
            key = "target.adminRanges" if text in admins(target) else "target.clientRanges"
            yield Problem(
                key,
                f"{text} is too wide for a head among the workers, whose way out it would take; "
                f"write `head: dedicated`, or ranges of /{WIDEST} and narrower",
            )


def notes(settings: Settings, target: AwsTarget) -> Iterator[str]:
    """Yield what a user of AWS should know before `up`."""
    if target.purchase.option == "spot" and settings.head.placement == "colocated":
        yield "the head is on a spot instance: an interruption takes NATS, etcd and the frontend with it"
    yield from egress.notes(settings, target)
    if target.open_to_the_world:
        yield "`openToTheWorld` lets everybody in where a range says so; the endpoint asks for no password"


def enough_addresses(target: AwsTarget, nodes: Sequence[Node]) -> Iterator[Problem]:
    """Find networks that cannot hold the nodes."""
    layout, capacity = network(target), max(0, room(target))
    count = sum(node.gpus > 0 or layout.public is None for node in nodes)
    if count > capacity:
        yield Problem(
            "target.network.cidr",
            f"holds {counted(capacity, 'node')} from `firstAddress: {target.network.first_address}` in "
            f"{layout.cluster}, and the plan has {count}; write a wider range or a lower `firstAddress`",
            target.network.cidr,
        )
