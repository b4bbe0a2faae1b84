"""Asks the AWS account about the plan while the program runs, and says what it said."""

from datetime import UTC

import pulumi
from pulumi.runtime.config import get_config_env

import account
from account.responses import Answers, live
from components.backend import backend
from components.prerequisites import aws_target
from planning import before_up
from planning.aws.state import state_digest
from planning.sizing.cost import cost
from planning.values import Plan
from settings.problems import StackFileError


def ask_account(plan: Plan) -> str | None:
    """Ask the account about `plan`; a preview prints the answers.

    Return when the capacity block ends that the plan's instances are in; None where nobody says. Raises
    StackFileError with what live answers refuse, and with what else the plan still needs.
    """
    target, project, stack = aws_target(plan), pulumi.get_project(), pulumi.get_stack()
    state = state_digest(backend(), pulumi.get_organization(), project, stack)
    login = account.Login(target.region or "", account.identity(get_config_env()))
    report = account.check(plan, account.Fleet(project, stack, state), login)
    if pulumi.runtime.is_dry_run():
        for line in report.lines:
            pulumi.log.info(line)
    if problems := [*report.problems, *before_up(plan, report.cost or cost(plan))]:
        raise StackFileError(problems)
    return None if report.answers is None else _end(report.answers)


def _end(answers: Answers) -> str | None:
    for found in live(answers.reservation):
        if found is not None and found.ends is not None and found.option == "capacity-block":
            return f"{found.ends.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return None
