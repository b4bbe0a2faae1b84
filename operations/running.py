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


def running(stack: str, file: Path, stack_state: Mapping[str, Any] | None) -> list[str]:
    """Return lines that say what runs, what it costs and how it ends; none where nothing costs anything.

    EC2 is asked: it may run instances that an interrupted `up` never wrote down. Where it does not answer,
    the state counts.
    """
    target = aws_target(read_stack_file(file))
    if target is None or stack_state is None:
        return []
    fleet_instances, source = _instances(stack, file, stack_state)
    other_resources = _others(stack_state)
    if not fleet_instances and not other_resources:
        return []
    counts = Counter(instance.type for instance in fleet_instances if instance.runs)
    return list(
        _lines(
            stack,
            target,
            fleet_instances,
            source,
            cost_of(target, counts, other_resources, len(fleet_instances)),
        )
    )


def _lines(
    stack: str, target: AwsTarget, fleet_instances: Sequence[Instance], source: str, cost: Cost
) -> Iterator[str]:
    listing = ", ".join(
        f"{instance.name or instance.id} {instance.id} ({instance.type}, {instance.state})"
        for instance in fleet_instances
    )
    yield f"runs now   {listing or 'no instance'}{source}"
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


def _instances(stack: str, file: Path, stack_state: Mapping[str, Any]) -> tuple[list[Instance], str]:
    """Return the stack's instances, and what to say of where that comes from."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415

    existing, fleet = existing_instances(stack_state), Fleet(PROJECT, stack, _state(stack_state))
    login = login_of(file, existing)
    try:
        if login is None:
            return [], ""
        return [
            instance for instance in instances(login.open().client("ec2")) if fleet.owns(instance.tags)
        ], ""
    except (LoginError, BotoCoreError, ClientError) as error:
        reason = " ".join(str(error).split())
        return list(_of_the_state(stack_state)), f" as the state says; EC2 was not asked: {reason}"


def _of_the_state(stack_state: Mapping[str, Any]) -> Iterator[Instance]:
    for name, resource in living(stack_state, INSTANCE):
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


def _state(stack_state: Mapping[str, Any]) -> str | None:
    """Return which state owns what was made, as the tags of it say."""
    for resource in stack_state.get("deployment", {}).get("resources", []):
        tags = resource.get("inputs", {}).get("tags")
        if isinstance(tags, dict) and STATE_TAG in tags:
            return str(tags[STATE_TAG])
    return None


def _others(stack_state: Mapping[str, Any]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for kind, name in COSTING.items():
        for _, resource in living(stack_state, kind):
            if resource.get("inputs", {}).get("vpcEndpointType") != _GATEWAY:
                counts[name] += 1
    return counts
