"""The running instances of a stack on AWS and their cost an hour: told where an `up` failed half-way."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from account.fleet import PROJECT, Fleet
from account.login import LoginError
from account.queries import instances
from account.responses import Instance
from operations.fleet import existing_instances, login_of
from operations.state import INSTANCE, living
from planning.aws.state import STATE_TAG
from planning.aws.target import aws_target
from planning.sizing.cost import ENDPOINT, NAT_GATEWAY, PUBLIC_ADDRESS, Cost, cost_of
from settings.aws.target import AwsTarget
from settings.loader import read_stack_file

COSTING: Final = {
    "aws:ec2/natGateway:NatGateway": NAT_GATEWAY,
    "aws:ec2/eip:Eip": PUBLIC_ADDRESS,
    "aws:ec2/vpcEndpoint:VpcEndpoint": ENDPOINT,
}
"""Type of a resource -> what the price list calls it, of what costs beside instances and volumes."""

_GATEWAY: Final = "Gateway"
"""Type of endpoint that costs nothing: S3's."""


def running(stack: str, file: Path, exported: Mapping[str, Any] | None) -> list[str]:
    """Return lines that say what runs, what it costs and how it ends; none where nothing costs anything.

    EC2 is asked: it may run instances that an interrupted `up` never wrote down. Where it does not answer,
    the state counts.
    """
    target = aws_target(read_stack_file(file))
    if target is None or exported is None:
        return []
    found, source = _instances(stack, file, exported)
    others = _others(exported)
    if not found and not others:
        return []
    counts = Counter(one.type for one in found if one.runs)
    return list(_lines(stack, target, found, source, cost_of(target, counts, others, len(found))))


def _lines(
    stack: str, target: AwsTarget, found: Sequence[Instance], source: str, cost: Cost
) -> Iterator[str]:
    each = ", ".join(f"{one.name or one.id} {one.id} ({one.type}, {one.state})" for one in found)
    yield f"runs now   {each or 'no instance'}{source}"
    parts = [f"{item.count} x {item.what}" for item in cost.items if item.count]
    unknown = f"; no price is known of {', '.join(cost.unknown)}" if cost.unknown else ""
    hourly = sum(item.hourly or 0 for item in cost.items)
    meaning = f", {cost.meaning}" if cost.meaning else ""
    yield f"costs now  {hourly:,.2f} USD an hour ({', '.join(parts)}; {cost.source}{meaning}){unknown}"
    yield f"ends       {_end(target)}; `scripts/down {stack}` ends it now, `scripts/up {stack}` goes on"


def _end(target: AwsTarget) -> str:
    lifetime = target.lifetime
    if lifetime.max_minutes is not None:
        return f"each machine {lifetime.max_minutes} minutes after its boot, by itself"
    if lifetime.idle_minutes is not None:
        return "machines that were not set up an hour or more after their boot, the others when idle"
    return "never by itself: no `target.lifetime`"


def _instances(stack: str, file: Path, exported: Mapping[str, Any]) -> tuple[list[Instance], str]:
    """Return the stack's instances, and what to say of where that comes from."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    known, fleet = existing_instances(exported), Fleet(PROJECT, stack, _state(exported))
    where = login_of(file, known)
    try:
        if where is None:
            return [], ""
        return [one for one in instances(where.open().client("ec2")) if fleet.owns(one.tags)], ""
    except (LoginError, BotoCoreError, ClientError) as error:
        why = " ".join(str(error).split())
        return list(_of_the_state(exported)), f" as the state says; EC2 was not asked: {why}"


def _of_the_state(exported: Mapping[str, Any]) -> Iterator[Instance]:
    for name, resource in living(exported, INSTANCE):
        outputs = resource.get("outputs", {})
        if resource.get("id"):
            yield Instance(
                id=resource["id"],
                name=name,
                type=outputs.get("instanceType", ""),
                zone=outputs.get("availabilityZone", ""),
                state="running",
                bought="on-demand",
                vcpus=0,
                reservation=None,
                tags=outputs.get("tags", {}),
            )


def _state(exported: Mapping[str, Any]) -> str | None:
    """Return which state owns what was made, as the tags of it say."""
    for resource in exported.get("deployment", {}).get("resources", []):
        tags = resource.get("inputs", {}).get("tags")
        if isinstance(tags, dict) and STATE_TAG in tags:
            return str(tags[STATE_TAG])
    return None


def _others(exported: Mapping[str, Any]) -> Counter[str]:
    found: Counter[str] = Counter()
    for kind, name in COSTING.items():
        for _, resource in living(exported, kind):
            if resource.get("inputs", {}).get("vpcEndpointType") != _GATEWAY:
                found[name] += 1
    return found
