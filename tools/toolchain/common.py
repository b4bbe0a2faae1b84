"""Shared by all steps of the toolchain: folders, running programs, messages."""

import contextlib
import os
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
TOOLCHAIN = PROJECT / ".toolchain"
"""Links of this clone to its tools; the tools themselves are in the user's cache."""

Version = tuple[int, int, int]


class ToolchainError(Exception):
    """A tool is missing or broken; one message that ends with the remedy."""


@dataclass(frozen=True)
class Tool:
    """A program that is ready to run, and its origin in a word or two."""

    program: Path
    version: str
    origin: str


def say(line: str) -> None:
    """Print a line of progress."""
    print(line, flush=True)


def user_cache() -> Path:
    """Return the cache folder that all clones of this user share."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dynamo-multinode"


def version_of(program: Path | str, *arguments: str) -> Version | None:
    """Return the first version that a program prints; None if it prints none or does not run."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        printed = subprocess.run(
            [program, *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout
        if match := re.search(r"(\d+)\.(\d+)\.(\d+)", printed):
            return int(match[1]), int(match[2]), int(match[3])
    return None


def dotted(version: Version) -> str:
    """Return a version as text, such as 1.2.3."""
    return ".".join(map(str, version))


def run(
    argv: Sequence[str | Path], failure: str, *, cwd: Path = PROJECT, env: Mapping[str, str] | None = None
) -> str:
    """Run a program and return its standard output. Raises ToolchainError: `failure`, and its last lines."""
    try:
        completed = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ToolchainError(f"{failure}: {error}") from error
    if completed.returncode:
        raise ToolchainError(f"{failure}\n{last_lines(completed.stderr or completed.stdout)}")
    return completed.stdout


def last_lines(text: str, count: int = 12) -> str:
    """Return the end of a program's output, indented below the message that quotes it."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-count:])


@contextlib.contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """Give a folder to fill, which is renamed to `folder` once filled: a kill leaves nothing half-made."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    partial.rename(folder)
