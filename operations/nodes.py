"""The nodes of a stack as its state knows them: how each is reached, and what was run there."""

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from nodectl.common.errors import NothingAppliedError
from operations.state import COMMAND, living, plain

SETS_UP: Final = ("install", "secrets", "apply")
"""Verbs that set a node up, in this order; resources are named NODE-VERB."""

_AT_ONCE: Final = 32
_SECONDS: Final = 60.0


@dataclass(frozen=True)
class Run:
    """A command as `up` ran it, and its standard input, as state has them."""

    create: Any
    input: Any

    @property
    def command(self) -> str:
        return plain(self.create)

    @property
    def stdin(self) -> str:
        """Raises EncryptedError where it is a secret, and state was exported without."""
        return plain(self.input)


@dataclass
class DeployedNode:
    """A node, and by verb what set it up."""

    name: str
    runs: dict[str, Run] = field(default_factory=dict)

    @property
    def remote(self) -> bool:
        """Whether it is another machine, which may have changed behind our back."""
        return "remote" in shlex.split(self.runs["apply"].command)[:4]

    def running(self, verb: str, *arguments: str) -> list[str]:
        """Return the command that runs another verb on the node."""
        *before, _, root, folder = shlex.split(self.runs["apply"].command)
        return [*before, verb, root, folder, *arguments]

    def has_what_it_should(self) -> bool:
        """Return whether nodectl knows of the node over there, or its host cannot be asked."""
        asked = subprocess.run(self.running("status"), capture_output=True, text=True, check=False)
        return asked.returncode != NothingAppliedError.code

    def why(self) -> str:
        """Return what the logs of services say that are not ready; nothing where the host cannot be asked."""
        try:
            asked = subprocess.run(
                self.running("status", "--why"), capture_output=True, text=True, timeout=_SECONDS, check=False
            )
        except subprocess.TimeoutExpired:
            return ""
        return asked.stderr.rstrip() if asked.stdout.strip() else ""

    def set_up(self) -> None:
        """Run again what `up` ran. Raises CalledProcessError, with what it said, where that fails."""
        for verb in SETS_UP:
            if run := self.runs.get(verb):
                command = shlex.split(run.command)
                subprocess.run(command, input=run.stdin, capture_output=True, text=True, check=True)


def deployed_nodes(exported: Mapping[str, Any] | None) -> dict[str, DeployedNode]:
    """Return the nodes of an exported stack by their names; none where it is not up."""
    found: dict[str, DeployedNode] = {}
    for command, resource in living(exported, COMMAND):
        name, _, verb = command.rpartition("-")
        if verb in SETS_UP:
            run = Run(resource["inputs"]["create"], resource["inputs"]["stdin"])
            found.setdefault(name, DeployedNode(name)).runs[verb] = run
    return {name: node for name, node in found.items() if "apply" in node.runs}


def why(exported: Mapping[str, Any] | None) -> list[str]:
    """Return what the logs of services on other machines say that are not ready, a text a node."""
    remote = [node for node in deployed_nodes(exported).values() if node.remote]
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        said = pool.map(DeployedNode.why, remote)
        return [f"{node.name}:\n{text}" for node, text in zip(remote, said, strict=True) if text]


def repair(exported: Mapping[str, Any] | None) -> int:
    """Set up again what is on other machines and was lost there; exit code 1 where that fails."""
    remote = [node for node in deployed_nodes(exported).values() if node.remote]
    if not remote:
        return 0
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        lost = [
            node
            for node, kept in zip(remote, pool.map(DeployedNode.has_what_it_should, remote), strict=True)
            if not kept
        ]
    if lost:
        names = ", ".join(node.name for node in lost)
        print(f"repairing  {names}: set up anew since the last up", file=sys.stderr, flush=True)
    return set_up(lost)


def set_up(lost: Sequence[DeployedNode]) -> int:
    """Set nodes up again, all at once, as the last `up` did; exit code 1 where that fails."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        failed = [failure for failure in pool.map(_failure, lost) if failure]
    for failure in failed:
        print(failure, file=sys.stderr)
    return 1 if failed else 0


def _failure(node: DeployedNode) -> str:
    try:
        node.set_up()
    except subprocess.CalledProcessError as error:
        return f"{node.name}: {error.stderr.strip()}"
    return ""
