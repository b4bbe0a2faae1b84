"""Judge the account's answers for a plan. Pure; only live answers refuse, each with the remedy."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from account import quotas
from account.fleet import Fleet
from account.network_checks import SUBNET, image, networks
from account.requirements import Batch, Wanted
from account.responses import Answers, Instance, Quota, Reply, Reservation, live
from planning.aws.catalogue import INSTANCE_TYPES, REGENERATE, InstanceType
from planning.aws.state import STATE_TAG
from planning.text import counted
from settings.problems import Problem

BLOCK_ENDS_EARLY: Final = timedelta(minutes=30)
"""EC2 begins to terminate the instances of a capacity block so long before its end."""

_SHOWN: Final = 3
"""Instances that are named; of more, how many."""


def judge(wanted: Wanted, fleet: Fleet, answers: Answers, now: datetime) -> Iterator[Problem]:
    """Find everything that the account would refuse, or that would make a second fleet."""
    for enabled in live(answers.region_enabled):
        if not enabled:
            yield Problem(
                "aws:region",
                "is not enabled in this account; enable it in the console under Account, or take another",
                wanted.region,
            )
    for running in live(answers.instances):
        yield from _second_fleet(fleet, running)
    yield from _offered(wanted, answers)
    for types in live(answers.types):
        yield from _as_in_the_catalogue(types)
    ours = [each for running in live(answers.instances) for each in running if fleet.owns(each.tags)]
    yield from _reserved(wanted, answers, ours, now)
    yield from _within_quotas(wanted, answers, fleet)
    yield from _elastic_ips(wanted, answers)
    yield from _subnet(wanted, answers)
    yield from networks(wanted, answers, fleet)
    yield from _image(wanted, answers)
    yield from image(wanted, answers, fleet)


def free_for_us(found: Reservation, ours: Sequence[Instance]) -> int:
    """Return how many instances of a reservation the stack may have: free ones, and those that it has."""
    return found.free + _in(found, ours)


def in_use(wanted: Wanted, fleet: Fleet, running: Sequence[Instance], code: str) -> tuple[int, int, int]:
    """Return vCPUs that a quota counts: of others, of the stack as it runs, and of the stack as planned."""
    others = ours = 0
    for each in running:
        bought = each.bought
        if bought == "capacity-block" or not each.runs or not quotas.counts(each.type, bought, code):
            continue
        if fleet.owns(each.tags):
            ours += each.vcpus
        else:
            others += each.vcpus
    planned = sum(
        batch.vcpus
        for batch in wanted.batches
        if batch.counted and quotas.counts(batch.type, batch.counted, code)
    )
    return others, ours, planned


def most(batch: Batch, found: Reply[Mapping[str, Quota]]) -> Iterator[Quota]:
    """Yield the quota that counts a batch: of several that may, the largest; nothing where none is known."""
    counting = quotas.family(batch.type)
    if batch.counted is None or counting is None:
        return
    codes = counting.codes[batch.counted]
    for known in live(found):
        if any(code in known for code in codes):
            yield max((known[code] for code in codes if code in known), key=lambda quota: quota.limit)


def _second_fleet(fleet: Fleet, running: Sequence[Instance]) -> Iterator[Problem]:
    rivals = [each for each in running if fleet.rivals(each.tags)]
    if not rivals:
        return
    states = ", ".join(sorted({each.tags.get(STATE_TAG, "none") for each in rivals}))
    yield Problem(
        "stack",
        f"already runs in this account from another state ({STATE_TAG}: {states}, here {fleet.state}): "
        f"{_named(rivals)}; `pulumi login` to the backend that it was made with, or give this stack another "
        "name: `up` would buy a second fleet",
        fleet.stack,
    )


def _offered(wanted: Wanted, answers: Answers) -> Iterator[Problem]:
    for offerings in live(answers.offerings):
        for batch in wanted.batches:
            zones = offerings.get(batch.type, ())
            if not zones:
                yield Problem(
                    batch.key,
                    f"is not offered in {wanted.region}; take another type, or another `aws:region`",
                    batch.type,
                )
            elif wanted.zone not in zones:
                yield Problem(
                    "target.zone",
                    f"does not offer {batch.type}; write one of {', '.join(zones)}",
                    wanted.zone,
                )


def _as_in_the_catalogue(types: Mapping[str, InstanceType]) -> Iterator[Problem]:
    for name, said in types.items():
        known = INSTANCE_TYPES.get(name)
        if known is None:
            continue
        pairs = (
            ("vCPUs", known.vcpus, said.vcpus),
            ("GPUs", known.gpus, said.gpus),
            ("cards with EFA", known.efa_cards, said.efa_cards),
        )
        for what, ours, theirs in pairs:
            if ours != theirs:
                yield Problem(
                    "target.instanceType",
                    f"the catalogue says {what} {_plain(ours)}, EC2 says {_plain(theirs)}; "
                    f"run `{REGENERATE}`",
                    name,
                )


def _plain(value: int | tuple[int, ...]) -> str:
    return str(len(value)) if isinstance(value, tuple) else str(value)


def _reserved(wanted: Wanted, answers: Answers, ours: Sequence[Instance], now: datetime) -> Iterator[Problem]:
    """Find what is wrong with the reservation. One that already holds the whole fleet is not judged."""
    batch, key = wanted.batches[0], "target.purchase.reservationId"
    for found in live(answers.reservation):
        if found is None:
            yield Problem(
                key,
                f"is not in this account and {wanted.region}; see `aws ec2 describe-capacity-reservations`",
                wanted.reservation or "",
            )
        elif _in(found, ours) < batch.count:
            for message in (*_fits(found, wanted, batch), *_usable(found, now)):
                yield Problem(key, message, found.id)
            yield from _room(found, batch, answers, ours)


def _fits(found: Reservation, wanted: Wanted, batch: Batch) -> Iterator[str]:
    if found.option != batch.option:
        yield f"is a {_kind(found)}; write `option: {found.option}`"
    if found.type != batch.type:
        yield f"is for {found.type}, the stack file says {batch.type}; make them one"
    if found.zone != wanted.zone:
        yield f"is in {found.zone}, the stack would be in {wanted.zone}; write `target.zone: {found.zone}`"
    if found.placement_group not in (None, wanted.placement_group):
        yield f"needs its own placement group; write `target.placementGroup: {found.placement_group}`"


def _usable(found: Reservation, now: datetime) -> Iterator[str]:
    ends = _last_moment(found)
    if found.starts and found.starts > now:
        yield f"starts at {clock(found.starts)}; run `up` then"
    elif ends and ends <= now:
        yield f"ended at {clock(ends)}; take another"
    elif found.state != "active":
        yield f"is {found.state}, expected active; take another, or wait until it is"


def _room(found: Reservation, batch: Batch, answers: Answers, ours: Sequence[Instance]) -> Iterator[Problem]:
    """Find a full one; what the stack itself holds is known only where instances were listed."""
    if not any(True for _ in live(answers.instances)):
        return
    free = free_for_us(found, ours)
    if found.state == "active" and free < batch.count:
        yield Problem(
            "target.purchase.reservationId",
            f"has room for {free} of {found.total} instances, the plan needs {batch.count}; enlarge it, wait "
            "some minutes if instances just ended, or lower `replicas`",
            found.id,
        )


def _last_moment(found: Reservation) -> datetime | None:
    """Return when its instances end; None for one that lasts until it is cancelled."""
    if found.ends is None or found.option != "capacity-block":
        return found.ends
    return found.ends - BLOCK_ENDS_EARLY


def _within_quotas(wanted: Wanted, answers: Answers, fleet: Fleet) -> Iterator[Problem]:
    for running in live(answers.instances):
        for batch in wanted.batches:
            for quota in most(batch, answers.quotas):
                others, ours, planned = in_use(wanted, fleet, running, quota.code)
                if planned > ours and others + planned > quota.limit:
                    yield Problem(
                        batch.key,
                        f"{counted(batch.count, 'instance')} need {batch.vcpus} vCPUs: the quota "
                        f"`{quota.name}` in {wanted.region} is {quota.limit}, {others} are in use by others; "
                        f"ask for more ({quotas.page(quota.code, wanted.region)}) or take another region",
                        batch.type,
                    )


def _elastic_ips(wanted: Wanted, answers: Answers) -> Iterator[Problem]:
    for found in live(answers.addresses):
        for limits in live(answers.quotas):
            quota, more = limits.get(quotas.ELASTIC_IPS), wanted.elastic_ips > found.ours
            if quota and more and found.others + wanted.elastic_ips > quota.limit:
                yield Problem(
                    "target.network",
                    f"needs {counted(wanted.elastic_ips, 'Elastic IP')}: the quota in {wanted.region} is "
                    f"{quota.limit}, {found.others} are in use by others; release some, or ask for more "
                    f"({quotas.page(quota.code, wanted.region)})",
                    wanted.cidr,
                )


def _subnet(wanted: Wanted, answers: Answers) -> Iterator[Problem]:
    key = SUBNET
    for found in live(answers.subnet):
        if found is None:
            yield Problem(key, f"is not in this account and {wanted.region}", wanted.subnet or "")
            continue
        if found.vpc != wanted.vpc:
            yield Problem(key, f"is in {found.vpc}, `vpcId` says {wanted.vpc}; make them one", found.id)
        if found.zone != wanted.zone:
            message = f"is in {found.zone}, the stack would be in {wanted.zone}; write `zone: {found.zone}`"
            yield Problem(key, message, found.id)
        if found.cidr != wanted.cidr:
            yield Problem("target.network.cidr", f"{found.id} has {found.cidr}; write that", wanted.cidr)


def _image(wanted: Wanted, answers: Answers) -> Iterator[Problem]:
    for found in live(answers.image):
        if found is None:
            yield Problem(
                "target.ami",
                f"is not available to this account in {wanted.region}; name one that is: `ami: ami-…`",
                wanted.image,
            )


def _in(found: Reservation, ours: Sequence[Instance]) -> int:
    return sum(each.reservation == found.id and each.runs for each in ours)


def _kind(found: Reservation) -> str:
    return "capacity block" if found.option == "capacity-block" else "capacity reservation"


def _named(some: Sequence[Instance]) -> str:
    names = ", ".join(f"{each.name or each.type} {each.id}" for each in some[:_SHOWN])
    return names if len(some) <= _SHOWN else f"{names} and {len(some) - _SHOWN} more"


def clock(when: datetime) -> str:
    """Return a time as it is shown: `2026-12-01 11:30 UTC`."""
    return f"{when:%Y-%m-%d %H:%M} UTC"
