"""Parsers of command lines: one line for what is wrong with one, and exit code 2.

A complaint names options and what is expected, never a value: what stands in the wrong place may be a secret.
"""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from nodectl.common.redaction import redacted


class CommandLine(argparse.ArgumentParser):
    """A parser without abbreviations, which complains in one line."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"allow_abbrev": False, "exit_on_error": False, **options})

    def parse_args(self, *args: Any, **kwargs: Any) -> Any:
        """Return what was given; a complaint ends the program."""
        arguments, unknown = self.parse_known_args(*args, **kwargs)
        if unknown:
            self.error(_unknown(unknown))
        return arguments

    def parse_known_args(self, *args: Any, **kwargs: Any) -> Any:
        """Return what was given, and what nothing is known of; a complaint ends the program."""
        try:
            return super().parse_known_args(*args, **kwargs)
        except argparse.ArgumentError as error:
            actions = {_name(action): action for action in self._actions}
            self.error(f"{error.argument_name}: {_expected(actions.get(error.argument_name or ''))}")

    def error(self, message: str) -> NoReturn:
        """Print what is wrong and how to find out more, and end with exit code 2."""
        line = " ".join(message.split())
        print(f"{self.prog}: {line}; `{self.prog} --help` says what it takes", file=sys.stderr)
        raise SystemExit(2)


def only_argument(prog: str, description: str | None, name: str) -> str:
    """Return the one argument of this program; end it where there is none or another."""
    parser = CommandLine(prog=prog, description=description)
    parser.add_argument("only", metavar=name)
    return str(parser.parse_args().only)


def _name(action: argparse.Action) -> str:
    """Return what argparse calls an argument in its errors."""
    placeholder = action.metavar if isinstance(action.metavar, str) else action.dest
    return "/".join(action.option_strings) or placeholder


def _expected(action: argparse.Action | None) -> str:
    if action is None:
        return "cannot be as it was given"
    if action.nargs == 0:
        return "takes no value"
    if action.choices is not None:
        return f"expected one of {', '.join(map(str, action.choices))}"
    return "expected a whole number" if action.type is int else "expected a value"


def _unknown(words: Sequence[str]) -> str:
    options = [redacted(word.partition("=")[0]) for word in words if word.startswith("-") and word != "--"]
    if not options:
        return f"{len(words)} argument{'s' if len(words) > 1 else ''} too many"
    return f"unknown option{'s' if len(options) > 1 else ''} {', '.join(options)}"
