"""`scripts/init`: where a stack's state is kept and what its secrets are encrypted with, decided once."""

import os
import subprocess
import sys
from typing import Annotated

import typer

from operations import engine
from operations.backend_choice import EXAMPLE, RequestedBackend, problems, record
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
    return decide(RequestedBackend(stack, backend, secrets_provider))


init.__doc__ = f"{init.__doc__}\n    {EXAMPLE}"


def decide(desired: RequestedBackend) -> int:
    """Make the stack and record its backend.

    Return the exit status: 2 for what cannot be meant, 1 where the backend or the key cannot be used.
    """
    try:
        path = stack_file(desired.stack)
        settings = read_stack_file(path)
        refusals = problems(desired, settings, document(path), before(os.environ))
    except StackFileError as error:
        refusals = [error.of(desired.stack)]
    if refusals:
        print(*refusals, "nothing was changed", sep="\n", file=sys.stderr)
        return 2
    try:
        _select(desired)
    except subprocess.CalledProcessError:
        print(
            f"nothing was recorded: {desired.backend} or {desired.provider} cannot be used from here; the "
            "bucket and the key must exist, and your credentials be allowed to use them (docs/state.md)",
            file=sys.stderr,
        )
        return 1
    record(desired.backend)
    note = ", which no other machine sees" if kept_on_this_machine(desired.backend) else ""
    print(f"state      {desired.backend}  in Pulumi.yaml{note}")
    print(f"secrets    {desired.provider}  in {path}")
    print(f"keep       git add Pulumi.yaml {path}")
    print(f"next       scripts/up {desired.stack}")
    return 0


def _select(desired: RequestedBackend) -> None:
    command = ["pulumi", "stack", "select", "--create", "--stack", desired.stack, "--non-interactive"]
    environ = {**os.environ, "PULUMI_BACKEND_URL": desired.backend}
    with kept_as_written(stack_file(desired.stack)):
        subprocess.run(
            [*command, "--secrets-provider", desired.provider],
            env=environ,
            stdout=subprocess.DEVNULL,
            check=True,
        )
