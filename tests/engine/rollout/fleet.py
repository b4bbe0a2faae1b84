"""A planned deployment on loopback nodes, brought up by nodectl alone, as `pulumi up` does it."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from nodectl.common.layout import Layout
from nodectl.contract import codec
from nodectl.contract.manifest import Manifest
from planning import followers, manifests, plan, proof_spec
from planning.network.listeners import numbers
from planning.values import Plan
from program.loopback import addresses, first_address
from settings import Settings
from tests.load import Load

PROJECT = Path(__file__).parents[3]
SECONDS = 90.0
"""More than any `up` of a few simulated workers takes, also on a busy machine."""

Edit = Callable[[str, Manifest], Manifest]


@dataclass(frozen=True)
class Outcome:
    """Exit status and output of an apply."""

    code: int
    output: str


@dataclass
class Fleet:
    """One deployment below `folder`. `stack` is only a name."""

    folder: Path
    stack: str = "fleet"
    nodes: list[str] = field(default_factory=list)
    addresses: dict[str, str] = field(default_factory=dict)

    def up(
        self, settings: Settings, *, order: Sequence[str] | None = None, edit: Edit | None = None
    ) -> dict[str, Outcome]:
        """Converge every node, side by side or one after another in the given order, then prove.

        Returns what each apply came to. Proves only where all went well; what fails then raises.
        """
        planned, found = self.plan(settings)
        wanted = self.manifests(planned, edit)
        outcomes = self._in_order(wanted, order) if order else self._side_by_side(wanted, planned)
        if any(outcome.code for outcome in outcomes.values()):
            return outcomes
        self.check("proof", codec.written(proof_spec(planned, found, wanted)), "--retire")
        for left in sorted(set(self.nodes) - set(wanted)):
            self.check("remove", "", "--root", str(self.root(left)))
        self.nodes = list(wanted)
        return outcomes

    def plan(self, settings: Settings) -> tuple[Plan, dict[str, str]]:
        planned = plan(settings)
        first = first_address(self.folder, self.stack, self.folder, numbers(planned))
        known = addresses(self.addresses.get("node-1", first), [node.name for node in planned.nodes])
        self.addresses = {**self.addresses, **known}
        return planned, dict(known)

    def manifests(self, planned: Plan, edit: Edit | None = None) -> dict[str, Manifest]:
        found = manifests(planned, self.addresses)
        for name, manifest in found.items():
            rollout = manifest.rollout and replace(manifest.rollout, stack=self.stack)
            one = replace(manifest, identity=name, rollout=rollout)
            found[name] = edit(name, one) if edit else one
        return found

    def apply(self, node: str, manifest: Manifest) -> subprocess.Popen[str]:
        """Start to converge one node."""
        return self._nodectl("apply", codec.written(manifest), "--root", str(self.root(node)))

    def check(self, verb: str, stdin: str, *arguments: str) -> str:
        """Run a verb that must succeed; return what it printed."""
        process = self._nodectl(verb, stdin, *arguments)
        stdout, stderr = process.communicate(timeout=SECONDS + 60)
        assert process.returncode == 0, stderr
        return stdout

    def run(self, verb: str, stdin: str, *arguments: str) -> Outcome:
        """Run a verb; return its exit code and all that it printed."""
        process = self._nodectl(verb, stdin, *arguments)
        stdout, stderr = process.communicate(timeout=SECONDS + 60)
        return Outcome(process.returncode, stdout + stderr)

    def root(self, node: str) -> Path:
        return self.folder / node

    def starts(self) -> dict[str, int]:
        """Return how often each service was started since nodectl did it last."""
        counts = [path for node in self.nodes for path in Layout.at(self.root(node)).starts.iterdir()]
        return {path.name: int(path.read_text()) for path in counts}

    def flag(self, node: str, service: str, name: str) -> str | None:
        """Return what a service's launch file says about a flag."""
        argv = json.loads(Layout.at(self.root(node)).launch(service).read_text())["argv"]
        return argv[argv.index(f"--{name}") + 1] if f"--{name}" in argv else None

    @property
    def url(self) -> str:
        return f"http://{self.addresses['node-1']}:8000"

    def load(self, **options: Any) -> Load:
        return Load(self.url, "tiny", **options)

    def answers(self) -> bool:
        body = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8}
        return httpx.post(f"{self.url}/v1/chat/completions", json=body, timeout=20).is_success

    def remove(self) -> None:
        """Take every node away, the head last."""
        for root in sorted(self.folder.glob("*/"), reverse=True):
            if not root.name.endswith(".removed"):
                self.check("remove", "", "--root", str(root))

    def _side_by_side(self, wanted: Mapping[str, Manifest], planned: Plan) -> dict[str, Outcome]:
        """Apply as Pulumi does: all at once, but an engine's first node after its others."""
        waits = followers(planned)
        first = {node: self.apply(node, wanted[node]) for node in wanted if not waits[node]}
        ended = {node: _outcome(process) for node, process in first.items()}
        then = {node: self.apply(node, wanted[node]) for node in wanted if waits[node]}
        return ended | {node: _outcome(process) for node, process in then.items()}

    def _in_order(self, wanted: Mapping[str, Manifest], order: Sequence[str]) -> dict[str, Outcome]:
        return {node: _outcome(self.apply(node, wanted[node])) for node in order}

    def _nodectl(self, verb: str, stdin: str, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "nodectl", verb, *arguments],
            cwd=PROJECT,
            env=os.environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        process.stdin.write(stdin)
        process.stdin.close()
        process.stdin = None
        return process


def _outcome(process: subprocess.Popen[str]) -> Outcome:
    _, stderr = process.communicate(timeout=SECONDS)
    return Outcome(process.returncode, stderr)


def line_with(process: subprocess.Popen[str], text: str) -> str:
    """Return the line in which a running apply says `text`, as soon as it does."""
    deadline = time.monotonic() + SECONDS
    assert process.stderr
    for line in process.stderr:
        if text in line:
            return line
        assert time.monotonic() < deadline
    raise AssertionError(f"it ended without saying {text!r}")
