"""The account's answers for a reader: a line a question, a line a reason for what was not answered. Pure."""

from collections.abc import Iterator, Sequence
from dataclasses import fields
from datetime import datetime

from account.checks import BLOCK_ENDS_EARLY, clock, free_for_us, in_use, most
from account.fleet import Fleet
from account.network_checks import INTERNET
from account.requirements import Wanted
from account.responses import Answer, Answers, Instance, NoAnswer, Reservation, live
from planning.sizing.cost import Cost
from planning.text import counted


def lines(wanted: Wanted, fleet: Fleet, answers: Answers, cost: Cost | None = None) -> list[str]:
    """Return what the account said, under a heading that says whose it is and when it was asked."""
    rows = [
        *_offered(wanted, answers),
        *_quotas(wanted, fleet, answers),
        *_reserved(fleet, answers),
        *_runs(fleet, answers),
        *_subnet(wanted, answers),
        *_image(answers),
        *_costs(cost),
    ]
    width = max((len(name) for name, _ in rows), default=0)
    return [
        *_heading(wanted, answers),
        *(f"  {name:<{width}}  {text}" for name, text in rows),
        *_unanswered(answers),
    ]


def nobody(said: NoAnswer) -> list[str]:
    """Return what to say where nobody could be asked."""
    return [
        f"account    not asked: {said.why}; offerings, quotas, reservations and prices were not looked at"
    ]


def _heading(wanted: Wanted, answers: Answers) -> Iterator[str]:
    replies = [getattr(answers, field.name) for field in fields(answers)]
    asked: list[datetime] = [each.when for each in replies if isinstance(each, Answer)]
    if asked:
        caller = "".join(f"{number} · " for number in live(answers.caller))
        yield f"account    {caller}{wanted.region} · live, {clock(max(asked))}"


def _offered(wanted: Wanted, answers: Answers) -> Iterator[tuple[str, str]]:
    for offerings in live(answers.offerings):
        for name in wanted.types:
            zones = ", ".join(offerings.get(name, ())) or "no zone"
            yield "offered", f"{name} in {zones}"


def _quotas(wanted: Wanted, fleet: Fleet, answers: Answers) -> Iterator[tuple[str, str]]:
    for running in live(answers.instances):
        for batch in wanted.batches:
            for quota in most(batch, answers.quotas):
                others, _, planned = in_use(wanted, fleet, running, quota.code)
                used = f"{planned} vCPUs of this stack and {others} of others, of {quota.limit}"
                yield "quota", f"{quota.name} ({quota.code}): {used}"


def _reserved(fleet: Fleet, answers: Answers) -> Iterator[tuple[str, str]]:
    for found in live(answers.reservation):
        if found is not None:
            ours = [one for running in live(answers.instances) for one in running if fleet.owns(one.tags)]
            yield "reserved", _reservation(found, ours)


def _reservation(found: Reservation, ours: Sequence[Instance]) -> str:
    parts = [
        f"{found.id}: {free_for_us(found, ours)} of {found.total} x {found.type} for this stack",
        found.zone,
        found.state,
        f"placement group {found.placement_group}" if found.placement_group else "",
        f"until {clock(found.ends)}" if found.ends else "",
    ]
    if found.ends and found.option == "capacity-block":
        parts.append(f"its instances end from {clock(found.ends - BLOCK_ENDS_EARLY)} on")
    return " · ".join(filter(None, parts))


def _runs(fleet: Fleet, answers: Answers) -> Iterator[tuple[str, str]]:
    for running in live(answers.instances):
        ours = [one for one in running if fleet.owns(one.tags)]
        states = sorted({one.state for one in ours})
        if ours:
            found = (f"{sum(one.state == state for one in ours)} {state}" for state in states)
            yield "runs", f"{counted(len(ours), 'instance')} of this stack: {', '.join(found)}"


def _subnet(wanted: Wanted, answers: Answers) -> Iterator[tuple[str, str]]:
    for routes in live(answers.routes):
        way = routes and routes.to(INTERNET[0])
        if routes is not None:
            yield "subnet", f"{wanted.subnet}: out by {way.target if way else 'no route'} ({routes.table})"


def _image(answers: Answers) -> Iterator[tuple[str, str]]:
    for found in live(answers.machine_image):
        if found is not None and found.root_gib:
            kind = f"{found.architecture}, " if found.architecture else ""
            yield "image", f"{found.id}: {kind}root {found.root_device} of {found.root_gib} GiB"


def _costs(cost: Cost | None) -> Iterator[tuple[str, str]]:
    if cost is not None and cost.hourly is not None:
        meaning = f" · {cost.meaning}" if cost.meaning else ""
        yield "cost", f"{cost.hourly:,.2f} USD an hour at live prices{meaning}"


def _unanswered(answers: Answers) -> Iterator[str]:
    """Say once for each reason which questions it left open."""
    reasons: dict[str, list[str]] = {}
    for field in fields(answers):
        reply = getattr(answers, field.name)
        if isinstance(reply, NoAnswer):
            reasons.setdefault(reply.why, []).append(reply.question)
    for why, questions in reasons.items():
        yield f"note       the account did not say {', '.join(questions)}: {why}"
