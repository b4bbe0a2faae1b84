"""`scripts/secret`: a secret of a stack, kept in the stack file, encrypted.

Works from a fresh clone: makes the stack where it is not there, with the secrets provider that the stack file
names. The value is read from the terminal without an echo, or from standard input, and never an argument.
"""

import getpass
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Final

import typer

from operations import engine
from operations.creating import NotAllowedError, create
from operations.verbs.arguments import Stack, WrongValueError
from settings.configuration import NAMESPACE
from settings.encrypted import TOKEN_KEY, clear_problem
from settings.loader import stack_file
from settings.problems import STACK

KEYS: Final = (TOKEN_KEY,)
"""Keys of a stack file that hold a secret."""


def known_key(key: str) -> str:
    """Return the key without its namespace. Raises WrongValueError for one that holds no secret."""
    key = key.removeprefix(NAMESPACE)
    if key not in KEYS:
        raise WrongValueError(f"expected one of {', '.join(KEYS)}")
    return key


def secret(
    stack: Stack,
    key: Annotated[
        str,
        typer.Argument(
            metavar="KEY", callback=known_key, autocompletion=lambda: KEYS, help=f"One of: {', '.join(KEYS)}."
        ),
    ],
) -> int:
    """Ask for a secret of a stack, or read it from standard input, and keep it in the stack file, encrypted.

    Makes the stack where it is not there yet. For example: scripts/secret disagg huggingFaceToken.
    See docs/state.md.
    """
    engine.enter(stack)
    path = stack_file(stack)
    try:
        create(stack, secret=True)
        _keep(stack, key, path)
    except NotAllowedError as error:
        print(error, "nothing was changed", sep="\n", file=sys.stderr)
        return 2
    return 0


def _keep(stack: str, key: str, path: Path) -> None:
    value = _asked(f"{key} of {stack}: ")
    if problem := clear_problem(value):
        raise NotAllowedError(f"{key}: {problem}".replace(STACK, stack))
    command = ["pulumi", "config", "set", "--secret", "--stack", stack, "--non-interactive", NAMESPACE + key]
    subprocess.run(command, input=value, text=True, check=True)
    print(f"secret     {key}  encrypted in {path}")
    print(f"next       scripts/plan {stack}")


def _asked(prompt: str) -> str:
    """Return what is typed, or standard input where that is no terminal; without spaces around it."""
    return (getpass.getpass(prompt) if sys.stdin.isatty() else sys.stdin.read()).strip()
