"""The command line of operations: one tool, whose verbs the scripts of the same names start.

Wrong use is one line and exit code 2. It names options and never values: what stands in the wrong place may
be a secret.
"""

import functools
import io
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import typer
import typer.completion
import typer.main

from nodectl.common.redaction import redacted
from operations.errors import reported
from operations.verbs.access import access
from operations.verbs.arguments import WrongValueError
from operations.verbs.ci_preview import ci_preview
from operations.verbs.down import down
from operations.verbs.init import init
from operations.verbs.node import node
from operations.verbs.pause import pause
from operations.verbs.plan import plan
from operations.verbs.prove import prove
from operations.verbs.rehearse import rehearse
from operations.verbs.replace import replace
from operations.verbs.secret import secret
from operations.verbs.up import up
from settings.loader import stack_file

COMPLETION: Final = "_OPERATIONS_COMPLETE"
"""Variable that `scripts/completion` has the shell ask with."""

_INTERRUPTED: Final = 130

_HELP: Final = {"help_option_names": ["-h", "--help"]}
_HANDED_ON: Final = {**_HELP, "ignore_unknown_options": True, "allow_interspersed_args": False}
"""Settings of a verb whose last arguments are another program's."""

VERBS: Final[Mapping[str, tuple[Callable[..., Any], Mapping[str, Any]]]] = {
    "up": (up, _HELP),
    "down": (down, _HELP),
    "plan": (plan, _HELP),
    "prove": (prove, _HELP),
    "rehearse": (rehearse, _HELP),
    "node": (node, _HANDED_ON),
    "secret": (secret, _HELP),
    "init": (init, _HELP),
    "access": (access, _HELP),
    "pause": (pause, _HELP),
    "replace": (replace, _HELP),
    "ci-preview": (ci_preview, _HELP),
}
"""Verb -> what it does, and settings of its command line."""


def tool() -> typer.Typer:
    """Return the tool with all its verbs."""
    application = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=_HELP)
    application.callback()(_many)
    for name, (verb, settings) in VERBS.items():
        application.command(name, context_settings=dict(settings))(_reporting(verb))
    return application


def main(argv: Sequence[str]) -> int:
    """Run one verb and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # in the order of what other programs print
    if COMPLETION in os.environ:
        typer.completion.get_completion_inspect_parameters()  # makes the shells known
    command: Any = typer.main.get_command(tool())
    program_name, arguments = "python -m operations", list(argv)
    if arguments and arguments[0] in VERBS:  # as its script, which is how people start it
        program_name = f"scripts/{arguments[0]}"
        command = command.commands[arguments.pop(0)]
    try:
        return int(command.main(arguments, program_name, COMPLETION, standalone_mode=False) or 0)
    except typer.Abort:
        return _INTERRUPTED
    except typer.TyperException as error:
        print(
            f"{program_name}: {complaint(error)}; `{program_name} --help` says what it takes", file=sys.stderr
        )
        return error.exit_code


def complaint(error: typer.TyperException) -> str:
    """Return what is wrong with a command line, without a value of it."""
    parameter, option = getattr(error, "param", None), getattr(error, "option_name", None)
    if isinstance(error, WrongValueError):
        return error.message if parameter is None else f"{parameter.metavar}: {error.message}"
    if option is not None or (parameter is not None and not error.message):
        return redacted(" ".join(error.format_message().split())).rstrip(".")
    if parameter is not None:
        return f"{parameter.metavar or parameter.opts[0]}: expected another value"
    group = getattr(getattr(error, "cmd", None), "commands", None)
    return "too many arguments" if group is None else f"expected one of {', '.join(group)}"


def _reporting(verb: Callable[..., Any]) -> Callable[..., int]:
    """Return the verb with its failures said, each in a message."""

    @functools.wraps(verb)
    def run(**arguments: Any) -> int:
        def work() -> int | None:
            if "stack" in arguments:
                stack_file(arguments["stack"])  # a name that no stack can have touches nothing
            code: int | None = verb(**arguments)
            return code

        return reported(arguments.get("stack", ""), work)

    return run


def _many() -> None:
    """Do what there is to do with a stack beyond one `pulumi` command."""
