"""`python -m account STACK`: the plan of a stack file, and what the AWS account says of it."""

import signal
import sys

from account.check import check
from account.fleet import PROJECT, Fleet
from account.login import login
from planning import before_up, describe, plan
from planning.cost import cost
from settings.aws import AwsTarget
from settings.problems import StackFileError
from settings.reading import read_stack_file, stack_file


def main(stack: str) -> int:
    """Print the plan of `stack` and the account's answers, or everything that is wrong (2)."""
    try:
        path = stack_file(stack)
        planned = plan(read_stack_file(path))
        target = planned.settings.target
        if not isinstance(target, AwsTarget):
            print(f"{describe(planned)}\naccount    nothing to ask: the target is {target.kind}")
            return 0
        report = check(planned, Fleet(PROJECT, stack), login(target, path))
        print("\n".join([describe(planned), *report.lines]), flush=True)
        if problems := [*report.problems, *before_up(planned, report.cost or cost(planned))]:
            raise StackFileError(problems)
    except StackFileError as error:
        print(error.of(stack), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `scripts/plan --account | head` ends quietly
    sys.exit(main(sys.argv[1]))
