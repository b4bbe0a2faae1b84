"""`nodectl logs`: the last lines that a service printed."""

import os
from collections.abc import Sequence

from nodectl.common.errors import BadInputError
from nodectl.common.layout import Layout
from nodectl.services import supervision
from nodectl.verbs.options import parser as node_parser


def main(argv: Sequence[str]) -> int:
    """Print the last lines of a service's log, and with -f what comes."""
    parser = node_parser("logs", main.__doc__)
    parser.add_argument("service")
    parser.add_argument("-n", "--lines", type=int, default=100, help="how many (default 100)")
    parser.add_argument("-f", "--follow", action="store_true", help="go on printing what comes")
    options = parser.parse_args(argv)
    layout = Layout.at(options.root)
    supervisor = supervision.supervisor(layout)
    services = supervisor.logged()
    if options.service not in services:
        names = ", ".join(sorted(services)) or "none"
        raise BadInputError(f"{options.service}: no such service in {layout.root}; it has {names}")
    command = supervisor.log_command(options.service, lines=max(options.lines, 0), follow=options.follow)
    os.execvp(command[0], list(command))  # noqa: S606 - no shell is the point
