"""The nodes of a stack as its state has them: how each is reached, and which commands set it up."""

import shlex
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from components.tokens import NODE
from nodectl.common.errors import NothingAppliedError
from operations.state import COMMAND, living, plain

SETS_UP: Final = ("install", "secrets", "apply")
"""Verbs that set a node up, in this order."""

_AT_ONCE: Final = 32
_SECONDS: Final = 60.0


@dataclass(frozen=True)
class SetupCommand:
    """A command that set a node up, as state has it: its text and its standard input."""

    create: Any
    stdin: Any

    def run(self) -> None:
        """Run it again.

        Raises CalledProcessError, with its output, where it fails, and EncryptedError where its input is a
        secret and state was exported without.
        """
        argv, standard_input = shlex.split(plain(self.create)), plain(self.stdin)
        subprocess.run(argv, input=standard_input, capture_output=True, text=True, check=True)


@dataclass(frozen=True)
class DeployedNode:
    """A node that the last `up` set up."""

    name: str
    nodectl: Sequence[str]
    """Command that a verb of nodectl and its options are added to."""
    root: str
    """nodectl's folder on the node."""
    here: bool
    """Whether it is this machine; another one may have changed since the last `up`."""
    setup: Mapping[str, SetupCommand] = field(default_factory=dict)
    """By verb."""

    def command(self, verb: str, *arguments: str) -> list[str]:
        """Return the command that runs a verb on the node."""
        return [*self.nodectl, verb, "--root", self.root, *arguments]

    def lost_its_manifest(self) -> bool:
        """Return whether nodectl says that nothing was applied there, as after the machine was re-imaged."""
        status = subprocess.run(self.command("status"), capture_output=True, text=True, check=False)
        return status.returncode == NothingAppliedError.code

    def failing_logs(self) -> str:
        """Return the last log lines of services that are not ready; empty where the host does not answer."""
        command = self.command("status", "--why")
        try:
            status = subprocess.run(command, capture_output=True, text=True, timeout=_SECONDS, check=False)
        except subprocess.TimeoutExpired:
            return ""
        return status.stderr.rstrip() if status.stdout.strip() else ""

    def set_up(self) -> None:
        """Run again what `up` ran. Raises as `SetupCommand.run` does."""
        for verb in SETS_UP:
            if verb in self.setup:
                self.setup[verb].run()


def deployed_nodes(stack_state: Mapping[str, Any] | None) -> dict[str, DeployedNode]:
    """Return the nodes of an exported stack by their names; none where it is not up.

    Nodes that a release before 0.3 set up are not among them until the next `up`.
    """
    commands = dict(living(stack_state, COMMAND))
    return {
        name: _deployed(name, node["outputs"], commands)
        for name, node in living(stack_state, NODE)
        if node.get("outputs")
    }


def _deployed(name: str, outputs: Mapping[str, Any], commands: Mapping[str, Any]) -> DeployedNode:
    setup = {
        verb: SetupCommand(commands[child]["inputs"]["create"], commands[child]["inputs"]["stdin"])
        for verb, child in outputs["commands"].items()
        if verb in SETS_UP and child in commands
    }
    return DeployedNode(name, outputs["nodectl"], outputs["root"], outputs["here"], setup)


def failing_logs(stack_state: Mapping[str, Any] | None) -> list[str]:
    """Return what the logs of services on other machines say that are not ready, a text a node."""
    remote_nodes = _remote(stack_state)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        logs = pool.map(DeployedNode.failing_logs, remote_nodes)
        return [f"{node.name}:\n{text}" for node, text in zip(remote_nodes, logs, strict=True) if text]


def repair(stack_state: Mapping[str, Any] | None) -> int:
    """Set up again what is on other machines and was lost there; exit code 1 where that fails."""
    remote_nodes = _remote(stack_state)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        answers = pool.map(DeployedNode.lost_its_manifest, remote_nodes)
        lost_nodes = [node for node, is_lost in zip(remote_nodes, answers, strict=True) if is_lost]
    if lost_nodes:
        names = ", ".join(node.name for node in lost_nodes)
        print(f"repairing  {names}: set up anew since the last up", file=sys.stderr, flush=True)
    return set_up(lost_nodes)


def set_up(nodes: Sequence[DeployedNode]) -> int:
    """Set nodes up again, all at once, as the last `up` did; exit code 1 where that fails."""
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        failures = [failure for failure in pool.map(_failure, nodes) if failure]
    for failure in failures:
        print(failure, file=sys.stderr)
    return 1 if failures else 0


def _remote(stack_state: Mapping[str, Any] | None) -> list[DeployedNode]:
    """Return the other machines that were brought to a manifest."""
    return [node for node in deployed_nodes(stack_state).values() if not node.here and "apply" in node.setup]


def _failure(node: DeployedNode) -> str:
    try:
        node.set_up()
    except subprocess.CalledProcessError as error:
        return f"{node.name}: {error.stderr.strip()}"
    return ""
