"""Shared by every step of the toolchain: where things are kept, how they are made whole, how it talks."""

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
"""This clone's choice of tools; the tools themselves are in the user's cache."""

Version = tuple[int, int, int]


class ToolchainError(Exception):
    """Something is missing or wrong, said in one message that ends with what to do."""


@dataclass(frozen=True)
class Tool:
    """A program that is ready to run, and where it came from in a word or two."""

    program: Path
    version: str
    origin: str


def say(line: str) -> None:
    """Tell the user what goes on."""
    print(line, flush=True)


def user_cache() -> Path:
    """Return the folder that keeps what all clones of this user share."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "dynamo-multinode"


def version_of(program: Path | str, *arguments: str) -> Version | None:
    """Return the first version that a program prints; None when it prints none or does not run."""
    with contextlib.suppress(OSError, subprocess.SubprocessError):
        printed = subprocess.run(
            [program, *arguments], capture_output=True, text=True, check=True, timeout=10
        ).stdout
        if found := re.search(r"(\d+)\.(\d+)\.(\d+)", printed):
            return int(found[1]), int(found[2]), int(found[3])
    return None


def dotted(version: Version) -> str:
    """Write a version as people do."""
    return ".".join(map(str, version))


def run(
    argv: Sequence[str | Path], failure: str, *, cwd: Path = PROJECT, env: Mapping[str, str] | None = None
) -> str:
    """Run a program and return its standard output; raise `failure` with its last words."""
    try:
        done = subprocess.run(argv, cwd=cwd, env=env, capture_output=True, text=True, check=False)
    except OSError as error:
        raise ToolchainError(f"{failure}: {error}") from error
    if done.returncode:
        raise ToolchainError(f"{failure}\n{last_lines(done.stderr or done.stdout)}")
    return done.stdout


def last_lines(text: str, count: int = 12) -> str:
    """Return the end of a program's output, indented below the message that quotes it."""
    return "\n".join(f"    {line}" for line in text.strip().splitlines()[-count:])


@contextlib.contextmanager
def made_whole(folder: Path) -> Iterator[Path]:
    """Give a folder to fill that gets its name once it is filled, so that a kill leaves nothing half-made."""
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    yield partial
    partial.rename(folder)
