"""Stacks on the hosts of the lab, brought up from a scratch checkout as an operator does."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from remote.host import KEY_FILE
from tests.engine.deployment.checkout import Checkout
from tools.hostlab.lab import BUNDLED, Lab
from tools.toolchain.shell import SALT

NETWORK: Final = os.environ.get("LAB_NETWORK") or "10.78.0.0/24"
"""The range of the tests' lab, apart from one that is up by hand."""


@dataclass(frozen=True)
class LabStacks:
    """A checkout whose stacks run on the hosts of a lab."""

    checkout: Checkout
    lab: Lab

    @classmethod
    def make(cls, path: Path, lab: Lab) -> "LabStacks":
        made = cls(Checkout.make(path), lab)
        made.checkout.env[KEY_FILE] = str(lab.key)
        return made

    def write(
        self,
        stack: str,
        shape: Mapping[str, Any],
        *,
        hosts: int,
        gpus: int = 1,
        others: Mapping[str, Mapping[str, Any]] | None = None,
        salt: str = SALT,
    ) -> None:
        """Write a stack file over the lab's first hosts; `shape` is what lies below `dynamo:`.

        `others` has other keys for entries of the inventory, by name; `salt` tells the passphrase.
        """
        target = self.lab.target()
        inventory = [entry | dict((others or {}).get(entry["name"], {})) for entry in target["inventory"]]
        target |= {"inventory": inventory[:hosts], "gpusPerNode": gpus}
        common = {
            "target": target,
            "runtime": BUNDLED,
            "engine": "mocker",
            "model": {"name": "tiny", "source": "generated"},
        }
        config = {f"dynamo:{key}": value for key, value in (common | dict(shape)).items()}
        document = json.loads(json.dumps({"encryptionsalt": salt, "config": config}))  # without YAML aliases
        path = self.checkout.path / "stacks" / f"Pulumi.{stack}.yaml"
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def up(self, stack: str, *options: str, seconds: float = 300) -> str:
        """Bring a stack up as users do, with the proof at the end; return what was printed."""
        completed = self.checkout.run("scripts/up", stack, *options, seconds=seconds)
        return completed.stdout + completed.stderr

    def down(self, stack: str) -> str:
        completed = self.checkout.run("scripts/down", stack)
        return completed.stdout + completed.stderr

    def services(self, stack: str, host: str) -> dict[str, dict[str, Any]]:
        """Return what `nodectl status` says of a host's services."""
        printed = self.checkout.run("scripts/node", stack, host, "status", check=False).stdout
        found: dict[str, dict[str, Any]] = json.loads(printed)["services"]
        return found


AGG: Mapping[str, Any] = {"pattern": "agg", "roles": {"aggregated": {"replicas": 4}}}


def disagg(prefill: int, decode: int) -> Mapping[str, Any]:
    """Return the shape of a disaggregated deployment."""
    roles = {"prefill": {"replicas": prefill}, "decode": {"replicas": decode}}
    return {"pattern": "disagg", "roles": roles}


LARGE: Mapping[str, Any] = {
    "pattern": "agg",
    "roles": {"aggregated": {"replicas": 1, "parallelism": {"tensor": 4}}},
}
