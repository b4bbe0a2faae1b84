"""A node in a temporary folder, driven by nodectl's command line as Pulumi drives it."""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from nodectl.common.layout import MARKER, Layout
from nodectl.contract import documents
from nodectl.supervisors.supervisord import Supervisord
from nodectl.verbs.status import ServiceStatus, status
from nodectl.versions import lock_digest
from tests.waiting import eventually

PROJECT = Path(__file__).parents[3]
RUNTIME = {
    "variant": "mocker",
    "lock": lock_digest("mocker"),
    "model": {"kind": "generated", "name": "tiny"},
}
SERVICES = Path(__file__).parent / "services"


@dataclass(frozen=True)
class Node:
    """The node at `root`; `cache` is the user cache that nodectl finds its environment in."""

    root: Path
    cache: Path
    identity: str = "first"

    @property
    def layout(self) -> Layout:
        return Layout.at(self.root)

    def fake(self, name: str, **changes: Any) -> dict[str, Any]:
        """Return a service that runs until it is stopped; `changes` are merged into the manifest's entry."""
        service: dict[str, Any] = {
            "module": "fake_service",
            "flags": {"report": str(self.report_file(name))} | changes.pop("flags", {}),
            "env": {"PYTHONPATH": str(SERVICES)} | changes.pop("env", {}),
            "ready": {"process": True, "seconds": 10},
            "stop": {"seconds": 5},
        }
        return service | changes

    def manifest(self, **services: Mapping[str, Any]) -> dict[str, Any]:
        """Return a manifest of services, whose names may be written with an underscore for the dash."""
        return {
            "schema": 1,
            "node": "node-1",
            "identity": self.identity,
            "runtime": RUNTIME,
            "generation": "g1",
            "services": {name.replace("_", "-"): service for name, service in services.items()},
        }

    def start(self, verb: str, *arguments: str, stdin: Any = None) -> subprocess.Popen[str]:
        """Start a verb with `stdin` already written to it."""
        process = subprocess.Popen(
            [sys.executable, "-m", "nodectl", verb, *arguments, "--root", str(self.root)],
            cwd=PROJECT,
            env=os.environ | {"XDG_CACHE_HOME": str(self.cache)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert process.stdin
        process.stdin.write(stdin if isinstance(stdin, str) else json.dumps(stdin))
        process.stdin.close()
        process.stdin = None
        return process

    def run_machine_verb(self, verb: str, stdin: str) -> subprocess.CompletedProcess[str]:
        """Run a verb that concerns the machine, not the node's folder."""
        return subprocess.run(
            [sys.executable, "-m", "nodectl", verb],
            cwd=PROJECT,
            env=os.environ | {"XDG_CACHE_HOME": str(self.cache)},
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def run(self, verb: str, *arguments: str, stdin: Any = None) -> subprocess.CompletedProcess[str]:
        process = self.start(verb, *arguments, stdin=stdin)
        stdout, stderr = process.communicate(timeout=120)
        return subprocess.CompletedProcess(process.args, process.returncode, stdout, stderr)

    def done(self, verb: str, *arguments: str, stdin: Any = None) -> Any:
        """Run a verb that must succeed, and return the JSON that it printed."""
        ran = self.run(verb, *arguments, stdin=stdin)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def apply(self, **services: Mapping[str, Any]) -> dict[str, list[str]]:
        applied: dict[str, list[str]] = self.done("apply", stdin=self.manifest(**services))
        return applied

    def status(self) -> dict[str, ServiceStatus]:
        """Return what `nodectl status` would print, without the cost of a process: for use in loops."""
        manifest = documents.applied(self.layout)
        return status(manifest, Supervisord(self.layout).states())

    def report_file(self, service: str) -> Path:
        return self.cache.parent / f"{self.root.name}-{service}.json"

    def report(self, service: str) -> dict[str, Any]:
        """Return what a fake service said about its start, waiting for the process that runs now."""

        def current() -> dict[str, Any] | None:
            if not self.report_file(service).exists():
                return None
            report: dict[str, Any] = json.loads(self.report_file(service).read_text())
            return report if report["pid"] == self.status()[service].pid else None

        return eventually(current, what=f"{service} says how it was started")

    def stopped_gracefully(self, service: str) -> bool:
        return self.report_file(service).with_suffix(".stopped").exists()

    def log(self, service: str) -> str:
        return self.layout.log(service).read_text()

    def processes(self) -> list[psutil.Process]:
        """Return every living process of the node."""
        found = []
        for process in psutil.process_iter():
            try:
                marked = process.environ().get(MARKER) == str(self.layout.root)
                if marked and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
            except psutil.Error:
                continue
        return found


def alive(pid: int) -> bool:
    """Return whether the process does more than wait to be collected."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
