"""Commands that start a Python: neither the current folder nor the script's own is searched.

Otherwise a file there stands in for a module of the same name: `secrets.py` beside a script hides the
standard library's from every package that the script imports.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

ENVIRONMENT: Final[Mapping[str, str]] = {"PYTHONSAFEPATH": "1"}
"""`-P` for what nodectl does not start itself; a Python older than 3.11 ignores it, where it refuses `-P`."""


def module(python: str | Path, name: str, *arguments: str) -> list[str]:
    """Return the command that runs a module, found in the packages of `python` and in PYTHONPATH."""
    return [str(python), "-P", "-m", name, *arguments]


def script(python: str | Path, file: str, *arguments: str) -> list[str]:
    """Return the command that runs a file of nodectl (`runtime/hub.py`) with `python`'s packages alone."""
    return [str(python), "-I", str(Path(__file__).parents[1] / file), *arguments]


def code(python: str | Path, text: str, *arguments: str) -> list[str]:
    """Return the command that runs `text` with nothing but the packages of `python`."""
    return [str(python), "-I", "-c", text, *arguments]
