"""A scratch copy of the project, used through its scripts as a user would."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx
import psutil
import yaml

from nodectl.common.layout import MARKER, Layout
from nodectl.contract import documents
from nodectl.supervisors.supervisord import Supervisord

PROJECT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Checkout:
    """A project folder of its own: its stacks get their own addresses, state and run folder."""

    path: Path

    @classmethod
    def make(cls, path: Path) -> "Checkout":
        """Copy what git would: tracked and new files, no ignored ones; the environment is shared."""
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=PROJECT,
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for name in filter(None, listed.split("\0")):
            if (PROJECT / name).is_file():
                (path / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(PROJECT / name, path / name)
        (path / ".venv").symlink_to(PROJECT / ".venv")
        return cls(path)

    @cached_property
    def env(self) -> dict[str, str]:
        """The shell that `scripts/env` sets up for local stacks, from one without this project's settings."""
        bare = {k: v for k, v in os.environ.items() if not k.startswith(("PULUMI_", "DYN_"))}
        script = 'eval "$(scripts/env local)"; env -0'
        printed = subprocess.run(
            ["bash", "-c", script], cwd=self.path, env=bare, check=True, capture_output=True, text=True
        ).stdout
        return dict(line.split("=", 1) for line in printed.split("\0") if line)

    @contextmanager
    def shell(self, **names: str) -> Iterator[None]:
        """Set these names in the shell that commands are typed in."""
        before = dict(self.env)
        self.env.update(names)
        try:
            yield
        finally:
            self.env.clear()
            self.env.update(before)

    def run(
        self, *command: str, check: bool = True, seconds: float = 300
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the checkout; with `check`, a failure shows everything that it printed."""
        completed = subprocess.run(
            command,
            cwd=self.path,
            env=self.env,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if check and completed.returncode:
            raise AssertionError(
                f"{command} ended with {completed.returncode}\n{completed.stdout}\n{completed.stderr}"
            )
        return completed

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Start a command in a process group of its own, to be interrupted or killed."""
        return subprocess.Popen(
            command,
            cwd=self.path,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def up(self, stack: str, *options: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Bring a stack up with the engine alone, as `pulumi up` does."""
        return self.run("pulumi", "up", "--yes", "--skip-preview", "--stack", stack, *options, check=check)

    def unchanged(self, stack: str) -> None:
        """Fail unless a preview of the deployed stack has nothing to do, and names no restart."""
        printed = self.run("pulumi", "preview", "--expect-no-changes", "--stack", stack).stdout
        assert not [
            line for line in printed.splitlines() if "interrupts serving: " in line or "restarts: " in line
        ]

    def outputs(self, stack: str) -> Any:
        """Return the stack's outputs."""
        return json.loads(self.run("pulumi", "stack", "output", "--json", "--stack", stack).stdout)

    def edit(self, stack: str, change: Callable[[dict[str, Any]], None]) -> None:
        """Change the configuration in a stack file."""
        path = self.path / "stacks" / f"Pulumi.{stack}.yaml"
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
        change(document["config"])
        path.write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")

    def copy_stack(self, stack: str, copy: str) -> None:
        """Add a stack whose file equals another's."""
        folder = self.path / "stacks"
        shutil.copy2(folder / f"Pulumi.{stack}.yaml", folder / f"Pulumi.{copy}.yaml")

    def roots(self, stack: str) -> list[Path]:
        """Return the folders of the stack's nodes."""
        return sorted((self.path / ".run" / stack).glob("*/"))

    def pids(self, stack: str) -> dict[str, int]:
        """Return the main process of every service, by `node/service`, without a process a node to ask."""
        found: dict[str, Any] = {}
        for layout in map(Layout.at, self.roots(stack)):
            states = Supervisord(layout).states()
            for service in documents.applied(layout).services:
                state = states.get(service)
                found[f"{layout.root.name}/{service}"] = state and state.pid
        return found

    def processes(self) -> list[psutil.Process]:
        """Return every living process that a node or the engine started for this checkout."""
        return [process for process in psutil.process_iter() if self._owns(process)]

    def _owns(self, process: psutil.Process) -> bool:
        try:
            folders = (process.environ().get(MARKER, ""), process.cwd())
            return any(folder.startswith(str(self.path)) for folder in folders)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False


def complete(outputs: Mapping[str, Any], *, seconds: float = 30) -> dict[str, Any]:
    """Return one chat completion from a deployment's outputs, or raise `httpx.HTTPError`."""
    model = httpx.get(f"{outputs['endpoint']}/v1/models", timeout=seconds).json()["data"][0]["id"]
    reply = httpx.post(
        f"{outputs['endpoint']}/v1/chat/completions",
        json={"model": model, "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 8},
        timeout=seconds,
    )
    reply.raise_for_status()
    found: dict[str, Any] = reply.json()
    return found


def listed(outputs: Mapping[str, Any]) -> list[str]:
    """Return the worker that each instance in the frontend's list is, dead or alive."""
    instances = httpx.get(f"{outputs['endpoint']}/health", timeout=10).json()["instances"]
    return [instance["transport"]["tcp"] for instance in instances if instance["endpoint"] == "generate"]


def eventually(completed: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Wait until `done` holds; errors of a service that is coming back count as not yet."""
    deadline = time.monotonic() + seconds
    last: Exception | None = None
    while time.monotonic() < deadline:
        try:
            if completed():
                return
        except (httpx.HTTPError, psutil.NoSuchProcess, KeyError, IndexError, ValueError) as error:
            last = error
        time.sleep(0.2)
    raise AssertionError(f"after {seconds:.0f} s still not: {what} ({last!r})")


def answers(outputs: Mapping[str, Any], times: int = 5, *, seconds: float = 10) -> bool:
    """Return whether that many requests in a row succeed, each within its time."""
    return all(complete(outputs, seconds=seconds)["usage"]["completion_tokens"] > 0 for _ in range(times))


def listening(addresses: Sequence[str]) -> list[tuple[str, int]]:
    """Return what listens on any of these addresses."""
    listeners = [c.laddr for c in psutil.net_connections("tcp") if c.status == psutil.CONN_LISTEN and c.laddr]
    return [(listener.ip, listener.port) for listener in listeners if listener.ip in addresses]
