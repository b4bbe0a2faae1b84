"""`scripts/ci-preview`: what a change would do to stacks, as Markdown for a pull request."""

import io
import os
import subprocess
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Annotated, Final

import typer

from operations import creating, engine
from operations.errors import reported
from operations.markdown import markdown, read
from operations.verbs.arguments import stacks
from operations.verbs.plan import show

_EVENTS: Final = "PULUMI_ENABLE_STREAMING_JSON_PREVIEW"
"""Makes `--json` print events, as it does for `up`: its digest knows nothing of policies."""


def ci_preview(
    names: Annotated[
        list[str], typer.Argument(metavar="STACK...", help="Names of stacks.", autocompletion=stacks)
    ],
) -> int:
    """Print what a change would do to stacks, as Markdown for a pull request.

    Ends with 0, or 1 where a preview failed, or 2 where a stack file is wrong; the Markdown says why.
    See docs/ci.md.
    """
    print("<!-- dynamo-multinode preview -->")
    return max([preview(stack) for stack in names])


def preview(stack: str) -> int:
    """Print the section of one stack; return 1 where its preview failed, 2 where its file is wrong."""
    code, plan, problems = _captured(stack, lambda: show(stack))
    if code:
        print(markdown(stack, problems or plan, None))
        return 2
    code, output, errors = _captured(stack, lambda: _prepare(stack))
    if not code:
        code, output, errors = _previewed(stack)
    print(markdown(stack, plan, read(output, errors, failed=code != 0)))
    return 1 if code else 0


def _prepare(stack: str) -> None:
    engine.enter(stack)
    creating.create(stack)


def _previewed(stack: str) -> tuple[int, str, str]:
    command = ["pulumi", "preview", "--json", "--non-interactive", "--stack", stack]
    environ = {**os.environ, _EVENTS: "true"}
    completed = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    return completed.returncode, completed.stdout, completed.stderr


def _captured(stack: str, work: Callable[[], None]) -> tuple[int, str, str]:
    """Return the exit code of a step, and what it printed on standard output and on standard error."""
    with redirect_stdout(io.StringIO()) as output, redirect_stderr(io.StringIO()) as errors:
        code = reported(stack, work)
    return code, output.getvalue(), errors.getvalue()
