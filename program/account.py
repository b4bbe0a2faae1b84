"""Questions to the AWS account about the plan while the program runs; a preview prints the answers."""

from datetime import UTC

import pulumi
from pulumi.runtime.config import get_config_env

import account
from account.responses import Answers, live
from planning import unmet_preconditions
from planning.aws.target import required_aws_target
from planning.sizing.cost import cost
from planning.values import Plan
from settings.problems import StackFileError


def ask_account(plan: Plan, owner: str) -> str | None:
    """Ask the account about `plan`; a preview prints the answers. `owner` is the digest of the stack's state.

    Return when the capacity block ends that the plan's instances are in; None where nobody says. Raises
    StackFileError with what live answers refuse, and with what else the plan still needs.
    """
    login = account.Login(required_aws_target(plan.settings).region or "", account.identity(get_config_env()))
    fleet = account.Fleet(pulumi.get_project(), pulumi.get_stack(), owner)
    report = account.check(plan, fleet, login)
    if pulumi.runtime.is_dry_run():
        for line in report.lines:
            pulumi.log.info(line)
    if problems := [*report.problems, *unmet_preconditions(plan, report.cost or cost(plan))]:
        raise StackFileError(problems)
    return None if report.answers is None else _end(report.answers)


def _end(answers: Answers) -> str | None:
    for reservation in live(answers.reservation):
        if (
            reservation is not None
            and reservation.ends is not None
            and reservation.option == "capacity-block"
        ):
            return f"{reservation.ends.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
    return None
