"""A whole deployment on one node, from a stack file's `runtime` to its proof."""

import asyncio
import json
from dataclasses import dataclass, replace
from typing import Any

import httpx

import planning
from nodectl.contract import codec
from nodectl.contract.manifest import Manifest
from nodectl.contract.proof import ProofResult
from nodectl.proof.proving import prove
from settings import Settings
from tests.engine.nodectl.node import Node
from tests.waiting import eventually


@dataclass(frozen=True)
class Deployment:
    """One aggregated worker and the frontend, planned for `address`, on `node`."""

    node: Node
    address: str

    def bring_up(self, runtime: dict[str, Any], **env: str) -> dict[str, list[str]]:
        """Install and apply, as `up` does; return what was started, restarted and so on."""
        manifest = self._manifests(runtime, env)["node-1"]
        self.node.cache.mkdir(exist_ok=True)
        ran = self.node.run_machine_verb("install", codec.written(manifest.runtime))
        assert ran.returncode == 0, ran.stderr
        applied: dict[str, list[str]] = self.node.done("apply", stdin=codec.written(manifest))
        return applied

    def prove(self, runtime: dict[str, Any], **env: str) -> ProofResult:
        plan = planning.plan(_settings(runtime, env))
        where = {"node-1": self.address}
        spec = planning.proof_spec(plan, where, self._manifests(runtime, env))
        return asyncio.run(prove(spec, print)).result

    def completes(self) -> dict[str, Any]:
        """Return the answer to a request, as soon as there is one."""

        def answer() -> dict[str, Any] | None:
            try:
                asked = httpx.post(
                    f"http://{self.address}:8000/v1/chat/completions",
                    json={"model": "tiny", "max_tokens": 4, "messages": [{"role": "user", "content": "hi"}]},
                    timeout=10,
                )
            except httpx.HTTPError:
                return None
            found: dict[str, Any] = asked.json() if asked.status_code == 200 else {}
            return found or None

        return eventually(answer, what="a request is answered", seconds=60)

    def _manifests(self, runtime: dict[str, Any], env: dict[str, str]) -> dict[str, Manifest]:
        plan = planning.plan(_settings(runtime, env))
        return {
            name: replace(manifest, identity="first")
            for name, manifest in planning.manifests(plan, {"node-1": self.address}).items()
        }


def _settings(runtime: dict[str, Any], env: dict[str, str]) -> Settings:
    body = {
        "target": {"kind": "local"},
        "model": {"name": "tiny", "source": "generated"},
        "pattern": "agg",
        "roles": {"aggregated": {"replicas": 1, "env": env}},
        "runtime": runtime,
    }
    return Settings.model_validate_json(json.dumps(body))
