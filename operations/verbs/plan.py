"""`scripts/plan`: the plan of a stack file, and what the account says of it."""

import signal
from typing import Annotated

import typer

import planning
from account.check import check
from account.fleet import PROJECT, Fleet
from account.login import login
from operations.verbs.arguments import Stack
from planning import describe, unmet_preconditions
from planning.aws.target import aws_target
from planning.sizing.cost import cost
from settings.loader import exposed_secrets, read_stack_file, stack_file
from settings.problems import StackFileError


def plan(
    stack: Stack = "local",
    account: Annotated[
        bool, typer.Option("--account", help="Ask the AWS account: offerings, quotas, reservations, prices.")
    ] = False,
) -> None:
    """Print what a stack would run where, and why.

    Needs no engine, plugin or network.
    """
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `scripts/plan | head` ends quietly
    if account:
        show_with_account(stack)
    else:
        show(stack)


def show(stack: str) -> None:
    """Print the plan of a stack. Raises StackFileError, with everything that is wrong, after the plan."""
    path = stack_file(stack)
    stack_plan = planning.plan(read_stack_file(path))
    price = cost(stack_plan)
    print(describe(stack_plan, cost=price), flush=True)
    if problems := [*unmet_preconditions(stack_plan, price), *exposed_secrets(path, stack_plan.settings)]:
        raise StackFileError(problems)


def show_with_account(stack: str) -> None:
    """Print the plan of a stack and the account's answers. Raises StackFileError as `show` does."""
    path = stack_file(stack)
    stack_plan = planning.plan(read_stack_file(path))
    target = aws_target(stack_plan.settings)
    if target is None:
        kind = stack_plan.settings.target.kind
        print(f"{describe(stack_plan)}\naccount    nothing to ask: the target is {kind}")
        return
    report = check(stack_plan, Fleet(PROJECT, stack), login(target, path))
    print("\n".join([describe(stack_plan), *report.lines]), flush=True)
    unmet = unmet_preconditions(stack_plan, report.cost or cost(stack_plan))
    if problems := [*report.problems, *unmet, *exposed_secrets(path, stack_plan.settings)]:
        raise StackFileError(problems)
