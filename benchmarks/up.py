"""Share of Pulumi's fixed cost in `up`: an empty program compared to the stack `local`, in one run.

Run in the shell that `scripts/env` sets up, with everything cached and the stack down:
    .venv/bin/python -m benchmarks.up [ROUNDS]
"""

import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks.empty import PROJECT, UP, EmptyProgram
from benchmarks.timing import seconds
from nodectl.common.commandline import CommandLine


def main(rounds: int) -> None:
    """Time each case `rounds` times in turn and print medians and their ratio to the empty program."""
    with tempfile.TemporaryDirectory() as folder:
        empty = EmptyProgram.make(Path(folder))
        cases: dict[str, Callable[[], float]] = {
            "empty program": empty.up,
            "scripts/up local": lambda: seconds(["scripts/up", "local"], cwd=PROJECT),
            "no-op up": lambda: seconds([*UP, "local"], cwd=PROJECT),
            "scripts/down local": lambda: seconds(["scripts/down", "local"], cwd=PROJECT),
        }
        times: dict[str, list[float]] = {name: [] for name in cases}
        for _ in range(rounds):
            for name, case in cases.items():
                times[name].append(case())
    fixed = statistics.median(times["empty program"])
    for name, measured in times.items():
        median = statistics.median(measured)
        spread = f"{min(measured):.1f} to {max(measured):.1f}"
        print(f"{name:<20} {median:6.1f} s   {median / fixed:4.1f} x empty   ({spread})")


if __name__ == "__main__":
    parser = CommandLine(prog="python -m benchmarks.up", description=__doc__)
    parser.add_argument("rounds", nargs="?", type=int, default=3, metavar="ROUNDS")
    main(parser.parse_args().rounds)
