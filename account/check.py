"""Check a plan against the AWS account, in one call for the program and the scripts."""

from dataclasses import dataclass
from datetime import UTC, datetime

from account.checks import clock, judge
from account.fleet import Fleet
from account.login import Login
from account.queries import ask
from account.report import lines, not_asked
from account.requirements import Requirements, requirements_of
from account.responses import Answer, Answers, NoAnswer
from planning.sizing.cost import Cost, cost
from planning.values import Plan
from settings.problems import Problem


@dataclass(frozen=True)
class Report:
    """The result of checking a plan against the account."""

    lines: tuple[str, ...]
    """Lines to print below the plan."""
    problems: tuple[Problem, ...]
    """Problems found in live answers; if there is any, nothing may be created."""
    cost: Cost | None
    """Cost at live prices; None if a price is not known. `planning.sizing.cost` has a snapshot of prices."""
    answers: Answers | None
    """None if there are no credentials, since nothing was asked."""


def check(plan: Plan, fleet: Fleet, login: Login) -> Report:
    """Query the account about `plan`. Takes one or two seconds, at most about 20.

    Raises nothing for an answer of the account, nor for a missing one.
    """
    requirements = requirements_of(plan)
    answers = ask(requirements, fleet, login)
    if isinstance(answers, NoAnswer):
        return Report(tuple(not_asked(answers)), (), None, None)
    problems = judge(requirements, fleet, answers, datetime.now(UTC))
    live_cost = _cost(plan, requirements, answers)
    return Report(tuple(lines(requirements, fleet, answers, live_cost)), tuple(problems), live_cost, answers)


def _cost(plan: Plan, requirements: Requirements, answers: Answers) -> Cost | None:
    """Return the cost at live prices; None if a price is missing, as for capacity blocks."""
    if not isinstance(answers.prices, Answer):
        return None
    hourly = {price.type: price.hourly for price in answers.prices.value}
    if not hourly.keys() >= set(requirements.types):
        return None
    return cost(plan, hourly, f"live, {clock(answers.prices.time)}")
