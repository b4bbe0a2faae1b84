"""`nodectl logs`: the last lines that a service printed."""

import argparse
import os
from collections.abc import Sequence
from pathlib import Path

from nodectl.errors import BadInputError
from nodectl.layout import Layout


def main(argv: Sequence[str]) -> int:
    """Print the last lines of a service's log, and with -f what comes."""
    parser = argparse.ArgumentParser(prog="nodectl logs", description=main.__doc__)
    parser.add_argument("service")
    parser.add_argument("--root", type=Path, required=True, help="the node's folder")
    parser.add_argument("-n", "--lines", type=int, default=100, help="how many (default 100)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on printing what comes")
    options = parser.parse_args(argv)
    layout = Layout.at(options.root)
    known = sorted(path.stem for path in layout.logs.glob("*.log"))
    if options.service not in known:
        there = ", ".join(known) or "none"
        raise BadInputError(f"{options.service}: no such service in {layout.root}; it has {there}")
    follow = ["-F"] if options.follow else []
    log = str(layout.log(options.service))
    os.execvp("tail", ["tail", "-n", str(max(options.lines, 0)), *follow, "--", log])  # noqa: S606 - no shell is the point
