"""`nodectl logs`: the last lines that a service printed."""

import os
import shlex
import subprocess
from collections.abc import Sequence
from typing import Final

from nodectl import supervision
from nodectl.errors import BadInputError
from nodectl.layout import Layout
from nodectl.options import parser as node_parser
from nodectl.supervisor import Supervisor

LAST_LINES: Final = 12


def main(argv: Sequence[str]) -> int:
    """Print the last lines of a service's log, and with -f what comes."""
    parser = node_parser("logs", main.__doc__)
    parser.add_argument("service")
    parser.add_argument("-n", "--lines", type=int, default=100, help="how many (default 100)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on printing what comes")
    options = parser.parse_args(argv)
    layout = Layout.at(options.root)
    supervisor = supervision.supervisor(layout)
    known = supervisor.logged()
    if options.service not in known:
        there = ", ".join(sorted(known)) or "none"
        raise BadInputError(f"{options.service}: no such service in {layout.root}; it has {there}")
    command = supervisor.log_command(options.service, lines=max(options.lines, 0), follow=options.follow)
    os.execvp(command[0], list(command))  # noqa: S606 - no shell is the point


def last_words(supervisor: Supervisor, service: str) -> str:
    """Return the last lines of a service's log and the command that shows more, for an error."""
    shown = supervisor.log_command(service, lines=LAST_LINES, follow=False)
    ran = subprocess.run(shown, capture_output=True, text=True, errors="replace", check=False)
    more = supervisor.log_command(service, lines=100, follow=False)
    lines = [f"    {line}" for line in (ran.stdout or ran.stderr).splitlines()]
    return "\n".join([f"  last lines of {service}:", *lines, f"  more: {shlex.join(more)}"])
