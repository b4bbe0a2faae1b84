"""The nodes of a stack as its state knows them: how each is reached, and what was run there."""

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from scripts.state import COMMAND, living, plain

SETS_UP: Final = ("install", "secrets", "apply")
"""Verbs that set a node up, in this order; resources are named NODE-VERB."""

_AT_ONCE: Final = 32


@dataclass(frozen=True)
class Run:
    """A command as `up` ran it, and its standard input."""

    command: str
    stdin: str


@dataclass
class Deployed:
    """A node, and by verb what set it up."""

    name: str
    runs: dict[str, Run] = field(default_factory=dict)

    @property
    def remote(self) -> bool:
        """Whether it is another machine, which may have changed behind our back."""
        return "reach" in shlex.split(self.runs["apply"].command)[:4]

    def running(self, verb: str, *arguments: str) -> list[str]:
        """Return the command that runs another verb on the node."""
        *before, _, root, folder = shlex.split(self.runs["apply"].command)
        return [*before, verb, root, folder, *arguments]

    def has_what_it_should(self) -> bool:
        """Return whether nodectl knows of the node over there, or its host cannot be asked."""
        asked = subprocess.run(self.running("status"), capture_output=True, text=True, check=False)
        return bool(asked.stdout) or "no manifest was applied here" not in asked.stderr

    def set_up(self) -> None:
        """Run again what `up` ran. Raises CalledProcessError, with what it said, where that fails."""
        for verb in SETS_UP:
            if run := self.runs.get(verb):
                command = shlex.split(run.command)
                subprocess.run(command, input=run.stdin, capture_output=True, text=True, check=True)


def of(exported: Mapping[str, Any] | None) -> dict[str, Deployed]:
    """Return the nodes of an exported stack by their names; none where it is not up."""
    found: dict[str, Deployed] = {}
    for command, resource in living(exported, COMMAND):
        name, _, verb = command.rpartition("-")
        if verb in SETS_UP:
            run = Run(plain(resource["inputs"]["create"]), plain(resource["inputs"]["stdin"]))
            found.setdefault(name, Deployed(name)).runs[verb] = run
    return {name: node for name, node in found.items() if "apply" in node.runs}


def mend(exported: Mapping[str, Any] | None) -> int:
    """Set up again what is on other machines and was lost there; exit code 1 where that fails."""
    remote = [node for node in of(exported).values() if node.remote]
    if not remote:
        return 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        lost = [
            node
            for node, kept in zip(remote, pool.map(Deployed.has_what_it_should, remote), strict=True)
            if not kept
        ]
    if lost:
        names = ", ".join(node.name for node in lost)
        print(f"mending    {names}: set up anew since the last up", file=sys.stderr, flush=True)
    return set_up(lost)


def set_up(lost: Sequence[Deployed]) -> int:
    """Set nodes up again, all at once, as the last `up` did; exit code 1 where that fails."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        failed = [failure for failure in pool.map(_failure, lost) if failure]
    for failure in failed:
        print(failure, file=sys.stderr)
    return 1 if failed else 0


def _failure(node: Deployed) -> str:
    try:
        node.set_up()
    except subprocess.CalledProcessError as error:
        return f"{node.name}: {error.stderr.strip()}"
    return ""
