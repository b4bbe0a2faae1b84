"""`scripts/init`: where a stack's state is kept and what its secrets are encrypted with, decided once."""

import os
import subprocess
import sys
from typing import Annotated

import typer

from operations import engine
from operations.backend_choice import EXAMPLE, Wanted, problems, record
from operations.stackfile import kept_as_written
from operations.verbs.arguments import Stack
from planning.aws.state import kept_on_this_machine
from settings.loader import document, read_stack_file, stack_file
from settings.problems import StackFileError
from tools.toolchain.exported import before


def init(
    stack: Stack,
    backend: Annotated[str, typer.Option(metavar="URL", help="Where state is kept.")],
    secrets_provider: Annotated[str, typer.Option(metavar="URL", help="What encrypts secrets.")],
) -> int:
    """Decide where a stack's state is kept and what its secrets are encrypted with.

    Done once for everybody who works on it. See docs/state.md.
    """
    engine.enter(None)
    return decide(Wanted(stack, backend, secrets_provider))


init.__doc__ = f"{init.__doc__}\n    {EXAMPLE}"


def decide(wanted: Wanted) -> int:
    """Make the stack and record its backend.

    Return the exit status: 2 for what cannot be meant, 1 where the backend or the key cannot be used.
    """
    try:
        path = stack_file(wanted.stack)
        settings = read_stack_file(path)
        against = problems(wanted, settings, document(path), before(os.environ))
    except StackFileError as error:
        against = [error.of(wanted.stack)]
    if against:
        print(*against, "nothing was changed", sep="\n", file=sys.stderr)
        return 2
    try:
        _select(wanted)
    except subprocess.CalledProcessError:
        print(
            f"nothing was recorded: {wanted.backend} or {wanted.provider} cannot be used from here; the "
            "bucket and the key must exist, and your credentials be allowed to use them (docs/state.md)",
            file=sys.stderr,
        )
        return 1
    record(wanted.backend)
    here = ", which no other machine sees" if kept_on_this_machine(wanted.backend) else ""
    print(f"state      {wanted.backend}  in Pulumi.yaml{here}")
    print(f"secrets    {wanted.provider}  in {path}")
    print(f"keep       git add Pulumi.yaml {path}")
    print(f"next       scripts/up {wanted.stack}")
    return 0


def _select(wanted: Wanted) -> None:
    command = ["pulumi", "stack", "select", "--create", "--stack", wanted.stack, "--non-interactive"]
    environ = {**os.environ, "PULUMI_BACKEND_URL": wanted.backend}
    with kept_as_written(stack_file(wanted.stack)):
        subprocess.run(
            [*command, "--secrets-provider", wanted.provider],
            env=environ,
            stdout=subprocess.DEVNULL,
            check=True,
        )
