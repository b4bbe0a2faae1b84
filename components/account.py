"""Asks the AWS account about the plan while the program runs, and says what it said."""

import pulumi

import account
from components.backend import backend
from components.prerequisites import aws_target
from planning import before_up, cost
from planning.aws.state import state_digest
from planning.values import Plan
from settings.problems import StackFileError


def ask_account(plan: Plan) -> None:
    """Ask the account about `plan`; a preview prints the answers.

    Raises StackFileError with what live answers refuse, and with what else the plan still needs.
    """
    target, project, stack = aws_target(plan), pulumi.get_project(), pulumi.get_stack()
    state = state_digest(backend(), pulumi.get_organization(), project, stack)
    login = account.Login(target.region or "", pulumi.Config("aws").get("profile"))
    report = account.check(plan, account.Fleet(project, stack, state), login)
    if pulumi.runtime.is_dry_run():
        for line in report.lines:
            pulumi.log.info(line)
    if problems := [*report.problems, *before_up(plan, report.cost or cost(plan))]:
        raise StackFileError(problems)
