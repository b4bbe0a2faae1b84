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
    planned = planning.plan(read_stack_file(path))
    price = cost(planned)
    print(describe(planned, cost=price), flush=True)
    if problems := [*unmet_preconditions(planned, price), *exposed_secrets(path, planned.settings)]:
        raise StackFileError(problems)


def show_with_account(stack: str) -> None:
    """Print the plan of a stack and the account's answers. Raises StackFileError as `show` does."""
    path = stack_file(stack)
    planned = planning.plan(read_stack_file(path))
    target = aws_target(planned.settings)
    if target is None:
        kind = planned.settings.target.kind
        print(f"{describe(planned)}\naccount    nothing to ask: the target is {kind}")
        return
    report = check(planned, Fleet(PROJECT, stack), login(target, path))
    print("\n".join([describe(planned), *report.lines]), flush=True)
    missing = unmet_preconditions(planned, report.cost or cost(planned))
    if problems := [*report.problems, *missing, *exposed_secrets(path, planned.settings)]:
        raise StackFileError(problems)
