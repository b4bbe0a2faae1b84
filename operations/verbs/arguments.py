"""Arguments that several verbs take."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

FOLDER = Path("stacks")


class WrongValueError(typer.BadParameter):
    """An argument is wrong, and its message, which says what was expected, holds no value."""


def stacks() -> Iterator[str]:
    """Yield the names of the stacks that have a file, for a shell to complete."""
    for path in sorted(FOLDER.glob("Pulumi.*.yaml")):
        yield path.name.removeprefix("Pulumi.").removesuffix(".yaml")


Stack = Annotated[str, typer.Argument(metavar="STACK", help="Name of the stack.", autocompletion=stacks)]
"""A stack, whose file is stacks/Pulumi.STACK.yaml."""
