"""The stacks of target aws as they are shipped, in the tests' account: simulated engines, the lab's range."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from tests.aws.cloud.server import Cloud
from tests.aws.support.machines import NETWORK
from tests.aws.support.plugin import add_standin
from tests.engine.deployment.checkout import PROJECT, Checkout
from tests.passphrase import OWN, OWN_SALT
from tools.hostlab.lab import BUNDLED

OUTSIDE: Final = "203.0.113.7/32"
"""Somebody outside (RFC 5737), for whom there are routes to the internet gateway."""

MODEL: Final = {"name": "tiny", "source": "generated"}
Change = Callable[[dict[str, Any]], None]
"""Changes the configuration of a stack file."""

REPLACING: Final = ("replace", "create-replacement", "delete-replaced")


@dataclass(frozen=True)
class AwsStacks:
    """A checkout whose stacks run in the tests' account."""

    checkout: Checkout
    cloud: Cloud

    @classmethod
    def make(cls, path: Path, cloud: Cloud, *, nodes: bool = True) -> "AwsStacks":
        """Make a checkout; without `nodes` no command runs on any, and no policy pack, to save time."""
        made = cls(Checkout.make(path), cloud)
        env = made.checkout.env
        base = Path(env.get("PULUMI_HOME") or Path.home() / ".pulumi")
        if nodes:
            env["PULUMI_OPTION_POLICY_PACK"] = str(path / "policy")
        home = add_standin(path / ".toolchain/aws-home", base, nodes=nodes)
        env |= {**cloud.environment, "PULUMI_HOME": str(home), "PULUMI_CONFIG_PASSPHRASE": OWN}
        return made

    def write(self, stack: str, shipped: str, change: Change | None = None) -> Path:
        """Write a stack file: a shipped one, with what the tests' account asks for, and a change."""
        path = PROJECT / "stacks" / f"Pulumi.{shipped}.yaml"
        config = yaml.safe_load(path.read_text(encoding="utf-8"))["config"]
        config |= {"dynamo:engine": "mocker", "dynamo:model": dict(MODEL), "dynamo:runtime": dict(BUNDLED)}
        config["dynamo:target"] |= {
            "network": {"cidr": NETWORK, "publicHead": True},
            "adminRanges": [NETWORK, OUTSIDE],
            "clientRanges": [NETWORK, OUTSIDE],
            "allowLocalState": True,
        }
        for role in config["dynamo:roles"].values():
            role.get("flags", {}).pop("enforce-eager", None)  # of vLLM alone
        if change is not None:
            change(config)
        document = json.loads(
            json.dumps({"encryptionsalt": OWN_SALT, "config": config})
        )  # without YAML aliases
        written = self.checkout.path / "stacks" / f"Pulumi.{stack}.yaml"
        written.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
        return written

    def create(self, stack: str) -> None:
        """Make the stack."""
        self.checkout.run("pulumi", "stack", "select", "--create", "--stack", stack)

    def up(self, stack: str, *options: str, seconds: float = 600) -> str:
        """Bring the stack up, to the end of the proof; return what was printed."""
        up = ("pulumi", "up", "--yes", "--skip-preview", "--stack", stack)
        completed = self.checkout.run(*up, *options, seconds=seconds)
        return completed.stdout + completed.stderr

    def preview(self, stack: str, *options: str, config: Path | None = None) -> "Preview":
        """Return what an `up` would do, with another stack file perhaps; several may run at once."""
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "events.json")
            file = () if config is None else ("--config-file", str(config))
            self.checkout.env["PULUMI_DEBUG_COMMANDS"] = "true"
            self.checkout.run(
                *("pulumi", "preview", "--stack", stack, "--event-log", str(log)), *file, *options
            )
            return Preview([json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()])

    def destroy(self, stack: str) -> None:
        """Delete every resource of the stack, and the stack."""
        self.checkout.run("pulumi", "destroy", "--yes", "--skip-preview", "--stack", stack, seconds=600)

    def outputs(self, stack: str) -> Any:
        """Return the stack's outputs."""
        return self.checkout.outputs(stack)


@dataclass(frozen=True)
class Preview:
    """The engine's own record of a preview."""

    events: list[dict[str, Any]]

    def steps(self, package: str = "") -> dict[str, str]:
        """Return what would be done (`create`, `update`, `replace`, `delete`), by type and name.

        Of all resources, or of those of one package.
        """
        found: dict[str, str] = {}
        for kind, name, step in self.all_steps():
            if kind.startswith(package):
                short = f"{kind.rpartition(':')[2]}:{name}"
                found[short] = "replace" if step in REPLACING else step
        return {name: step for name, step in found.items() if step not in ("same", "read")}

    def types(self) -> set[str]:
        """Return the types of all resources that it met."""
        return {kind for kind, _, _ in self.all_steps()}

    def said(self) -> str:
        """Return what the program said."""
        diagnostics = [event.get("diagnosticEvent", {}) for event in self.events]
        return "\n".join(entry["message"] for entry in diagnostics if entry.get("severity") == "info")

    def all_steps(self) -> Iterator[tuple[str, str, str]]:
        """Yield type, name and step of every resource, as the engine says them, those that stay as well."""
        for event in self.events:
            if "resourcePreEvent" in event:
                step: Mapping[str, Any] = event["resourcePreEvent"]["metadata"]
                yield step["type"], step["urn"].rpartition("::")[2], step["op"]
