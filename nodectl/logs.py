"""`nodectl logs`: the last lines that a service printed."""

import argparse
import os
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nodectl.errors import BadInputError
from nodectl.layout import Layout

LAST_LINES: Final = 12


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


def last_words(layout: Layout, service: str) -> str:
    """Return the last lines of a service's log and the command that shows more, for an error."""
    log = layout.log(service)
    text = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
    last = (f"    {line}" for line in text.splitlines()[-LAST_LINES:])
    more = shlex.join([sys.executable, "-m", "nodectl", "logs", service, "--root", str(layout.root)])
    return "\n".join([f"  last lines of {service}:", *last, f"  more: {more}"])
