"""Small Pulumi programs run by the real CLI, each in a folder and a backend of its own."""

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SECONDS = 180
"""Bound on one run of the CLI."""


@dataclass(frozen=True)
class Result:
    """Result of one run of the CLI."""

    returncode: int
    printed: str
    events: list[dict[str, Any]]
    """The engine's own record of the run, in order (see `apitype.EngineEvent` of Pulumi)."""

    def shown(self) -> list[str]:
        """Lines that the engine showed for a moment at a resource, such as the output of a command."""
        diagnostics = [event.get("diagnosticEvent", {}) for event in self.events]
        return [entry["message"].rstrip("\n") for entry in diagnostics if entry.get("ephemeral")]

    def steps(self) -> dict[str, str]:
        """Return the last step (`same`, `create`, `update`, `replace` …) of each resource, by name."""
        metadata = [
            event["resourcePreEvent"]["metadata"] for event in self.events if "resourcePreEvent" in event
        ]
        return {step["urn"].rpartition("::")[2]: step["op"] for step in metadata}


@dataclass(frozen=True)
class PulumiProject:
    """A folder with one Pulumi program; `env` is added to the environment of the tests."""

    folder: Path
    env: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, program: str, env: Mapping[str, str] | None = None) -> "PulumiProject":
        """Write a project with the given program into an empty folder."""
        runtime = {"name": "python", "options": {"toolchain": "uv", "virtualenv": sys.prefix}}
        (folder / "Pulumi.yaml").write_text(
            json.dumps({"name": "small", "runtime": runtime}), encoding="utf-8"
        )
        (folder / "__main__.py").write_text(textwrap.dedent(program), encoding="utf-8")
        (folder / ".state").mkdir()
        return cls(folder, env or {})

    def environment(self) -> dict[str, str]:
        """Environment of the CLI: this Python for the program, state in the folder, a passphrase."""
        return {
            **{name: value for name, value in os.environ.items() if name != "PULUMI_OPTION_POLICY_PACK"},
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "PULUMI_BACKEND_URL": f"file://{self.folder}/.state",
            "PULUMI_CONFIG_PASSPHRASE": "test",
            "PULUMI_SKIP_UPDATE_CHECK": "true",
            "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION": "true",
            **self.env,
        }

    def start(self, *arguments: str, **env: str) -> subprocess.Popen[str]:
        """Start `pulumi ARGUMENTS` in a process group of its own, to be interrupted or killed."""
        return subprocess.Popen(
            ["pulumi", *arguments, "--non-interactive", "--color", "never"],
            cwd=self.folder,
            env=self.environment() | env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, check: bool = True, **env: str) -> Result:
        """Run `pulumi ARGUMENTS` with `env`; with `check`, a failure shows everything that it printed."""
        log = self.folder / "events.json"
        log.unlink(missing_ok=True)
        process = self.start(*arguments, PULUMI_DEBUG_COMMANDS="true", **env)
        try:
            printed, _ = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
        if check and process.returncode:
            raise AssertionError(f"pulumi {arguments} ended with {process.returncode}\n{printed}")
        lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
        return Result(process.returncode, printed, [json.loads(line) for line in lines])

    def init(self, stack: str) -> None:
        """Make a stack."""
        self.run("stack", "init", stack)

    def up(self, stack: str, *options: str, check: bool = True, **env: str) -> Result:
        """Deploy without a preview."""
        return self._operate("up", stack, "--yes", "--skip-preview", *options, check=check, **env)

    def preview(self, stack: str, *options: str, check: bool = True, **env: str) -> Result:
        """Say what an `up` would do."""
        return self._operate("preview", stack, *options, check=check, **env)

    def destroy(self, stack: str, *options: str, check: bool = True, **env: str) -> Result:
        """Delete every resource."""
        return self._operate("destroy", stack, "--yes", "--skip-preview", *options, check=check, **env)

    def outputs(self, stack: str) -> Any:
        """The stack's outputs, secrets in clear."""
        return json.loads(self.run("stack", "output", "--json", "--show-secrets", "--stack", stack).printed)

    def export(self, stack: str) -> str:
        """The stack's state as JSON, secrets encrypted."""
        return self.run("stack", "export", "--stack", stack).printed

    def resources(self, stack: str) -> dict[str, Any]:
        """Every resource of the state by its name, secrets encrypted."""
        state = json.loads(self.export(stack))["deployment"].get("resources", [])
        return {resource["urn"].rpartition("::")[2]: resource for resource in state}

    def _operate(self, command: str, stack: str, *options: str, check: bool, **env: str) -> Result:
        log = str(self.folder / "events.json")
        return self.run(command, "--stack", stack, "--event-log", log, *options, check=check, **env)
