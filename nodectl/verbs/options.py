"""The options that verbs share, and whether whoever asks may undo a node."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from nodectl.common.commandline import CommandLine
from nodectl.common.layout import Layout
from nodectl.supervisors import identity


class Undoing(NamedTuple):
    """The node to undo, and the identity that it was set up with; None: any identity."""

    layout: Layout
    identity: str | None

    def is_due(self) -> bool:
        """Return whether the node is still that one: not where a successor is recorded by now."""
        return self.identity is None or identity.recorded(self.layout) in (None, self.identity)


def parser(verb: str, description: str | None) -> CommandLine:
    """Return a parser of the options that all verbs of a node have."""
    command_line = CommandLine(prog=f"nodectl {verb}", description=description)
    command_line.add_argument("--root", type=Path, required=True, help="the node's folder")
    return command_line


def service(verb: str, description: str | None, argv: Sequence[str]) -> tuple[Layout, str]:
    """Read the command line of a verb that the supervisor starts for one service: its node and its name."""
    command_line = parser(verb, description)
    command_line.add_argument("--service", required=True)
    options = command_line.parse_args(argv)
    return Layout.at(options.root), options.service


def undoing(verb: str, description: str | None, argv: Sequence[str]) -> Undoing:
    """Read the command line of a verb that undoes what another did."""
    command_line = parser(verb, description)
    command_line.add_argument("--identity", help="do so only while this identity is recorded, or none")
    options = command_line.parse_args(argv)
    return Undoing(Layout.at(options.root), options.identity)
