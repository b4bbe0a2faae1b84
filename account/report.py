"""Text report of the account's answers: one line per question, one per reason of missing answers. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime

from account.checks import BLOCK_ENDS_EARLY, clock, free_for_stack, largest_quota, vcpus_in_use
from account.fleet import Fleet
from account.network_checks import INTERNET
from account.requirements import Requirements
from account.responses import Answer, Answers, Instance, NoAnswer, Reservation, live
from planning.sizing.cost import Cost
from planning.text import counted


def lines(requirements: Requirements, fleet: Fleet, answers: Answers, cost: Cost | None = None) -> list[str]:
    """Return the report, under a heading with account, region and time."""
    rows = [
        *_offerings(requirements, answers),
        *_quotas(requirements, fleet, answers),
        *_reservations(fleet, answers),
        *_existing_instances(fleet, answers),
        *_subnet(requirements, answers),
        *_image(answers),
        *_costs(cost),
    ]
    width = max((len(name) for name, _ in rows), default=0)
    return [
        *_heading(requirements, answers),
        *(f"  {name:<{width}}  {text}" for name, text in rows),
        *_unanswered(answers),
    ]


def not_asked(answer: NoAnswer) -> list[str]:
    """Return the report if the account could not be queried."""
    skipped = "offerings, quotas, reservations and prices were not looked at"
    return [f"account    not asked: {answer.reason}; {skipped}"]


def _heading(requirements: Requirements, answers: Answers) -> Iterator[str]:
    replies = [getattr(answers, field.name) for field in fields(answers)]
    times: list[datetime] = [reply.time for reply in replies if isinstance(reply, Answer)]
    if times:
        caller = "".join(f"{number} · " for number in live(answers.caller))
        yield f"account    {caller}{requirements.region} · live, {clock(max(times))}"


def _offerings(requirements: Requirements, answers: Answers) -> Iterator[tuple[str, str]]:
    for offerings in live(answers.offerings):
        for name in requirements.types:
            zones = ", ".join(offerings.get(name, ())) or "no zone"
            yield "offered", f"{name} in {zones}"


def _quotas(requirements: Requirements, fleet: Fleet, answers: Answers) -> Iterator[tuple[str, str]]:
    for instances in live(answers.instances):
        for batch in requirements.batches:
            for quota in largest_quota(batch, answers.quotas):
                foreign, _, planned = vcpus_in_use(requirements, fleet, instances, quota.code)
                used = f"{planned} vCPUs of this stack and {foreign} of others, of {quota.limit}"
                yield "quota", f"{quota.name} ({quota.code}): {used}"


def _reservations(fleet: Fleet, answers: Answers) -> Iterator[tuple[str, str]]:
    for reservation in live(answers.reservation):
        if reservation is not None:
            yield "reserved", _reservation_text(reservation, fleet.instances(answers))


def _reservation_text(reservation: Reservation, existing: Sequence[Instance]) -> str:
    free = free_for_stack(reservation, existing)
    parts = [
        f"{reservation.id}: {free} of {reservation.total} x {reservation.type} for this stack",
        reservation.zone,
        reservation.state,
        f"placement group {reservation.placement_group}" if reservation.placement_group else "",
        f"until {clock(reservation.ends)}" if reservation.ends else "",
    ]
    if reservation.ends and reservation.option == "capacity-block":
        parts.append(f"its instances end from {clock(reservation.ends - BLOCK_ENDS_EARLY)} on")
    return " · ".join(filter(None, parts))


def _existing_instances(fleet: Fleet, answers: Answers) -> Iterator[tuple[str, str]]:
    for instances in live(answers.instances):
        existing = [instance for instance in instances if fleet.owns(instance.tags)]
        states = sorted({instance.state for instance in existing})
        if existing:
            counts = (f"{sum(instance.state == state for instance in existing)} {state}" for state in states)
            yield "runs", f"{counted(len(existing), 'instance')} of this stack: {', '.join(counts)}"


def _subnet(requirements: Requirements, answers: Answers) -> Iterator[tuple[str, str]]:
    for routes in live(answers.routes):
        route = routes and routes.to(INTERNET[0])
        if routes is not None:
            yield (
                "subnet",
                f"{requirements.subnet}: out by {route.target if route else 'no route'} ({routes.table})",
            )


def _image(answers: Answers) -> Iterator[tuple[str, str]]:
    for image in live(answers.machine_image):
        if image is not None and image.root_gib:
            kind = f"{image.architecture}, " if image.architecture else ""
            yield "image", f"{image.id}: {kind}root {image.root_device} of {image.root_gib} GiB"


def _costs(cost: Cost | None) -> Iterator[tuple[str, str]]:
    if cost is not None and cost.hourly is not None:
        meaning = f" · {cost.meaning}" if cost.meaning else ""
        yield "cost", f"{cost.hourly:,.2f} USD an hour at live prices{meaning}"


def _unanswered(answers: Answers) -> Iterator[str]:
    """Yield a line for each reason, with the questions that it left open."""
    reasons: dict[str, list[str]] = {}
    for field in fields(answers):
        reply = getattr(answers, field.name)
        if isinstance(reply, NoAnswer):
            reasons.setdefault(reply.reason, []).append(reply.question)
    for reason, questions in reasons.items():
        yield f"note       the account did not say {', '.join(questions)}: {reason}"
