"""Check the account's answers against a plan. Pure. Only live answers refuse, each with its remedy."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from account import quotas
from account.fleet import Fleet
from account.network_checks import SUBNET, image, networks
from account.requirements import Batch, Requirements
from account.responses import Answers, Instance, Quota, Reply, Reservation, live
from planning.aws.catalogue import INSTANCE_TYPES, REGENERATE, InstanceType
from planning.aws.state import STATE_TAG
from planning.text import counted
from settings.problems import Problem

BLOCK_ENDS_EARLY: Final = timedelta(minutes=30)
"""EC2 begins to terminate the instances of a capacity block this long before its end."""

_NAMED_INSTANCES: Final = 3
"""Most instances named in a message; the others are counted."""


def judge(requirements: Requirements, fleet: Fleet, answers: Answers, now: datetime) -> Iterator[Problem]:
    """Yield everything that the account would refuse, or that would create a second fleet."""
    for enabled in live(answers.region_enabled):
        if not enabled:
            yield Problem(
                "aws:region",
                "is not enabled in this account; enable it in the console under Account, or take another",
                requirements.region,
            )
    for instances in live(answers.instances):
        yield from _second_fleet(fleet, instances)
    yield from _offerings(requirements, answers)
    for types in live(answers.types):
        yield from _catalogue_mismatches(types)
    existing = fleet.instances(answers)
    yield from _reservation(requirements, answers, existing, now)
    yield from _vcpu_quotas(requirements, answers, fleet)
    yield from _elastic_ips(requirements, answers)
    yield from _subnet(requirements, answers)
    yield from networks(requirements, answers, fleet)
    yield from _image(requirements, answers)
    yield from image(requirements, answers, fleet)


def free_for_stack(reservation: Reservation, existing: Sequence[Instance]) -> int:
    """Return how many instances of a reservation the stack can use: free ones and those it already runs."""
    return reservation.free + _running_in(reservation, existing)


def vcpus_in_use(
    requirements: Requirements, fleet: Fleet, instances: Sequence[Instance], code: str
) -> tuple[int, int, int]:
    """Return the vCPUs that a quota counts: of others, of the running stack, and of the planned stack."""
    foreign = existing = 0
    for instance in instances:
        bought = instance.bought
        if bought == "capacity-block" or not instance.runs or not quotas.counts(instance.type, bought, code):
            continue
        if fleet.owns(instance.tags):
            existing += instance.vcpus
        else:
            foreign += instance.vcpus
    planned = sum(
        batch.vcpus
        for batch in requirements.batches
        if batch.quota_option and quotas.counts(batch.type, batch.quota_option, code)
    )
    return foreign, existing, planned


def largest_quota(batch: Batch, limits: Reply[Mapping[str, Quota]]) -> Iterator[Quota]:
    """Yield the quota that counts a batch: the largest if several may; nothing if none is known."""
    counting = quotas.family(batch.type)
    if batch.quota_option is None or counting is None:
        return
    codes = counting.codes[batch.quota_option]
    for by_code in live(limits):
        if any(code in by_code for code in codes):
            yield max((by_code[code] for code in codes if code in by_code), key=lambda quota: quota.limit)


def _second_fleet(fleet: Fleet, instances: Sequence[Instance]) -> Iterator[Problem]:
    rivals = [instance for instance in instances if fleet.rivals(instance.tags)]
    if not rivals:
        return
    states = ", ".join(sorted({instance.tags.get(STATE_TAG, "none") for instance in rivals}))
    yield Problem(
        "stack",
        f"already runs in this account from another state ({STATE_TAG}: {states}, here {fleet.state}): "
        f"{_names(rivals)}; `pulumi login` to the backend that it was made with, or give this stack another "
        "name: `up` would buy a second fleet",
        fleet.stack,
    )


def _offerings(requirements: Requirements, answers: Answers) -> Iterator[Problem]:
    for offerings in live(answers.offerings):
        for batch in requirements.batches:
            zones = offerings.get(batch.type, ())
            if not zones:
                yield Problem(
                    batch.key,
                    f"is not offered in {requirements.region}; take another type, or another `aws:region`",
                    batch.type,
                )
            elif requirements.zone not in zones:
                yield Problem(
                    "target.zone",
                    f"does not offer {batch.type}; write one of {', '.join(zones)}",
                    requirements.zone,
                )


def _catalogue_mismatches(types: Mapping[str, InstanceType]) -> Iterator[Problem]:
    for name, described in types.items():
        catalogued = INSTANCE_TYPES.get(name)
        if catalogued is None:
            continue
        pairs = (
            ("vCPUs", catalogued.vcpus, described.vcpus),
            ("GPUs", catalogued.gpus, described.gpus),
            ("cards with EFA", catalogued.efa_cards, described.efa_cards),
        )
        for quantity, expected, reported in pairs:
            if expected != reported:
                yield Problem(
                    "target.instanceType",
                    f"the catalogue says {quantity} {_plain(expected)}, EC2 says {_plain(reported)}; "
                    f"run `{REGENERATE}`",
                    name,
                )


def _plain(value: int | tuple[int, ...]) -> str:
    return str(len(value)) if isinstance(value, tuple) else str(value)


def _reservation(
    requirements: Requirements, answers: Answers, existing: Sequence[Instance], now: datetime
) -> Iterator[Problem]:
    """Yield problems of the reservation. One that already holds the whole fleet is not checked."""
    batch, key = requirements.batches[0], "target.purchase.reservationId"
    for reservation in live(answers.reservation):
        if reservation is None:
            yield Problem(
                key,
                f"is not in this account and {requirements.region}; see `aws ec2 "
                "describe-capacity-reservations`",
                requirements.reservation or "",
            )
        elif _running_in(reservation, existing) < batch.count:
            for message in (
                *_reservation_mismatches(reservation, requirements, batch),
                *_reservation_state(reservation, now),
            ):
                yield Problem(key, message, reservation.id)
            yield from _reservation_room(reservation, batch, answers, existing)


def _reservation_mismatches(
    reservation: Reservation, requirements: Requirements, batch: Batch
) -> Iterator[str]:
    if reservation.option != batch.option:
        yield f"is a {_kind(reservation)}; write `option: {reservation.option}`"
    if reservation.type != batch.type:
        yield f"is for {reservation.type}, the stack file says {batch.type}; make them one"
    if reservation.zone != requirements.zone:
        yield (
            f"is in {reservation.zone}, the stack would be in {requirements.zone}; write `target.zone: "
            f"{reservation.zone}`"
        )
    if reservation.placement_group not in (None, requirements.placement_group):
        yield f"needs its own placement group; write `target.placementGroup: {reservation.placement_group}`"


def _reservation_state(reservation: Reservation, now: datetime) -> Iterator[str]:
    ends = _instances_end(reservation)
    if reservation.starts and reservation.starts > now:
        yield f"starts at {clock(reservation.starts)}; run `up` then"
    elif ends and ends <= now:
        yield f"ended at {clock(ends)}; take another"
    elif reservation.state != "active":
        yield f"is {reservation.state}, expected active; take another, or wait until it is"


def _reservation_room(
    reservation: Reservation, batch: Batch, answers: Answers, existing: Sequence[Instance]
) -> Iterator[Problem]:
    """Yield a problem if the reservation is full; checked only if the account's instances were listed."""
    if not any(True for _ in live(answers.instances)):
        return
    free = free_for_stack(reservation, existing)
    if reservation.state == "active" and free < batch.count:
        yield Problem(
            "target.purchase.reservationId",
            f"has room for {free} of {reservation.total} instances, the plan needs {batch.count}; enlarge "
            "it, wait some minutes if instances just ended, or lower `replicas`",
            reservation.id,
        )


def _instances_end(reservation: Reservation) -> datetime | None:
    """Return when its instances end; None if the reservation lasts until it is cancelled."""
    if reservation.ends is None or reservation.option != "capacity-block":
        return reservation.ends
    return reservation.ends - BLOCK_ENDS_EARLY


def _vcpu_quotas(requirements: Requirements, answers: Answers, fleet: Fleet) -> Iterator[Problem]:
    for instances in live(answers.instances):
        for batch in requirements.batches:
            for quota in largest_quota(batch, answers.quotas):
                foreign, existing, planned = vcpus_in_use(requirements, fleet, instances, quota.code)
                if planned > existing and foreign + planned > quota.limit:
                    yield Problem(
                        batch.key,
                        f"{counted(batch.count, 'instance')} need {batch.vcpus} vCPUs: the quota "
                        f"`{quota.name}` in {requirements.region} is {quota.limit}, {foreign} are in use "
                        f"by others; ask for more ({quotas.page(quota.code, requirements.region)}) or take "
                        "another region",
                        batch.type,
                    )


def _elastic_ips(requirements: Requirements, answers: Answers) -> Iterator[Problem]:
    for addresses in live(answers.addresses):
        for limits in live(answers.quotas):
            quota, allocates = limits.get(quotas.ELASTIC_IPS), requirements.elastic_ips > addresses.own
            if quota and allocates and addresses.foreign + requirements.elastic_ips > quota.limit:
                yield Problem(
                    "target.network",
                    f"needs {counted(requirements.elastic_ips, 'Elastic IP')}: the quota in "
                    f"{requirements.region} is {quota.limit}, {addresses.foreign} are in use by others; "
                    f"release some, or ask for more ({quotas.page(quota.code, requirements.region)})",
                    requirements.cidr,
                )


def _subnet(requirements: Requirements, answers: Answers) -> Iterator[Problem]:
    key = SUBNET
    for subnet in live(answers.subnet):
        if subnet is None:
            yield Problem(key, f"is not in this account and {requirements.region}", requirements.subnet or "")
            continue
        if subnet.vpc != requirements.vpc:
            yield Problem(
                key, f"is in {subnet.vpc}, `vpcId` says {requirements.vpc}; make them one", subnet.id
            )
        if subnet.zone != requirements.zone:
            message = (
                f"is in {subnet.zone}, the stack would be in {requirements.zone}; write `zone: {subnet.zone}`"
            )
            yield Problem(key, message, subnet.id)
        if subnet.cidr != requirements.cidr:
            yield Problem(
                "target.network.cidr", f"{subnet.id} has {subnet.cidr}; write that", requirements.cidr
            )


def _image(requirements: Requirements, answers: Answers) -> Iterator[Problem]:
    for image_id in live(answers.image):
        if image_id is None:
            yield Problem(
                "target.ami",
                f"is not available to this account in {requirements.region}; name one that is: `ami: ami-…`",
                requirements.image,
            )


def _running_in(reservation: Reservation, instances: Sequence[Instance]) -> int:
    return sum(instance.reservation == reservation.id and instance.runs for instance in instances)


def _kind(reservation: Reservation) -> str:
    return "capacity block" if reservation.option == "capacity-block" else "capacity reservation"


def _names(instances: Sequence[Instance]) -> str:
    names = ", ".join(
        f"{instance.name or instance.type} {instance.id}" for instance in instances[:_NAMED_INSTANCES]
    )
    unnamed = len(instances) - _NAMED_INSTANCES
    return f"{names} and {unnamed} more" if unnamed > 0 else names


def clock(time: datetime) -> str:
    """Return a time for display: `2026-12-01 11:30 UTC`."""
    return f"{time:%Y-%m-%d %H:%M} UTC"
