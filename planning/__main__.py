"""`python -m planning STACK`: prints the plan of a stack file, with no engine, plugin, account or network."""

import signal
import sys
from pathlib import Path

from planning import describe, plan
from settings.problems import StackFileError
from settings.reading import read_stack_file


def main(stack: str) -> int:
    """Print the plan of `stack`, or everything that is wrong with its file (2)."""
    path = Path("stacks", f"Pulumi.{stack}.yaml")
    try:
        print(describe(plan(read_stack_file(path))))
    except StackFileError as error:
        print(f"{path}\n{error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `scripts/plan | head` ends quietly
    sys.exit(main(sys.argv[1]))
