"""`python -m planning STACK`: prints the plan of a stack file, with no engine, plugin, account or network."""

import signal
import sys

from planning import before_up, cost, describe, plan
from settings.problems import StackFileError
from settings.reading import read_stack_file, stack_file


def main(stack: str) -> int:
    """Print the plan of `stack`, or everything that is wrong with its file (2)."""
    try:
        planned = plan(read_stack_file(stack_file(stack)))
        price = cost(planned)
        print(describe(planned, cost=price), flush=True)
        if problems := before_up(planned, price):
            raise StackFileError(problems)
    except StackFileError as error:
        print(error.of(stack), file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `scripts/plan | head` ends quietly
    sys.exit(main(sys.argv[1]))
