"""One call for the program and the scripts: ask the account about a plan, and judge."""

from dataclasses import dataclass
from datetime import UTC, datetime

from account.checks import clock, judge
from account.fleet import Fleet
from account.login import Login
from account.queries import ask
from account.report import lines, nobody
from account.requirements import Wanted, wanted
from account.responses import Answer, Answers, NoAnswer
from planning.sizing.cost import Cost, cost
from planning.values import Plan
from settings.problems import Problem


@dataclass(frozen=True)
class Report:
    """What the account said of a plan."""

    lines: tuple[str, ...]
    """To print below the plan."""
    problems: tuple[Problem, ...]
    """What only live answers said; where there is one, nothing may be created."""
    cost: Cost | None
    """At live prices; None where they are not known: `planning.sizing.cost` has a snapshot."""
    answers: Answers | None
    """None where there are no credentials: then nothing was asked."""


def check(plan: Plan, fleet: Fleet, login: Login) -> Report:
    """Ask the account about `plan`, which takes a second or two, and at most some 20.

    Never raises for what the account says or does not say.
    """
    want = wanted(plan)
    said = ask(want, fleet, login)
    if isinstance(said, NoAnswer):
        return Report(tuple(nobody(said)), (), None, None)
    problems = judge(want, fleet, said, datetime.now(UTC))
    live = _cost(plan, want, said)
    return Report(tuple(lines(want, fleet, said, live)), tuple(problems), live, said)


def _cost(plan: Plan, want: Wanted, said: Answers) -> Cost | None:
    """Return the cost at live prices, unless one is missing: a capacity block has none."""
    if not isinstance(said.prices, Answer):
        return None
    found = {price.type: price.hourly for price in said.prices.value}
    return cost(plan, found, f"live, {clock(said.prices.when)}") if found.keys() >= set(want.types) else None
