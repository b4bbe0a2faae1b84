"""A node on a host of the lab, driven as an operator's machine drives it: by a release's launcher."""

import json
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from nodectl.versions import lock_digest
from tests.waiting import eventually
from tools.hostlab.host import Host
from tools.toolchain.common import PROJECT

RUNTIME: Final = {
    "variant": "mocker",
    "lock": lock_digest("mocker"),
    "model": {"kind": "generated", "name": "tiny"},
}

SERVICE: Final = """\
import json, os, signal, subprocess, sys, time
report, child = sys.argv[2:4]
def stop(*_):
    open(report + ".stopped", "w").close()
    time.sleep(float(os.environ.get("LINGER", "0")))
    sys.exit()
signal.signal(signal.SIGTERM, stop)
listens = "signal.signal(15, lambda *_: open(sys.argv[1], 'w')); print(flush=True); time.sleep(1000)"
command = [sys.executable, "-c", "import signal, sys, time; " + listens, report + ".heard"]
pid = None
if child == "--child":
    started = subprocess.Popen(command, stdout=subprocess.PIPE)
    started.stdout.readline()
    pid = started.pid
said = {"pid": os.getpid(), "argv": sys.argv, "env": dict(os.environ), "cwd": os.getcwd(), "child": pid}
with open(report + ".draft", "w") as file:
    json.dump(said, file)
os.rename(report + ".draft", report)
print("the service runs", flush=True)
while True:
    time.sleep(1000)
"""
"""A service that says how it was started, and what reached it and its child of a stop."""


@dataclass(frozen=True)
class HostNode:
    """The node `name` of `stack` on `host`."""

    host: Host
    stack: str = "lab.1"
    name: str = "node-1"
    release: str = "r1"

    @property
    def root(self) -> str:
        return f"/var/lib/dynamo-multinode/{self.stack}/{self.name}"

    def put_release(self) -> None:
        """Bring nodectl to the host as a folder of its own."""
        folder = f"/opt/dynamo-multinode/{self.release}"
        self.host.exec(["mkdir", "-p", folder], check=True)
        archive = ["tar", "-c", "--exclude=__pycache__", "nodectl"]
        packed = subprocess.run(archive, cwd=PROJECT, capture_output=True, check=True).stdout
        unpack = ["tar", "-x", "--no-same-owner", "-C", folder]
        subprocess.run(self.host.entering(unpack), input=packed, check=True)
        self.host.exec(["tee", "/srv/fake.py"], stdin=SERVICE, check=True)

    def fake(self, name: str, **changes: Any) -> dict[str, Any]:
        """Return a service that runs `SERVICE`; `changes` are merged into the manifest's entry."""
        company = "--child" if changes.pop("child", False) else "--alone"
        service: dict[str, Any] = {
            "module": "fake",
            "flags": {"report": [f"${{data}}/{name}.json", company, *changes.pop("text", [])]},
            "env": {"PYTHONPATH": "/srv"} | changes.pop("env", {}),
            "ready": {"process": True, "seconds": 10},
            "stop": {"seconds": 5},
        }
        return service | changes

    def manifest(self, **services: Mapping[str, Any]) -> dict[str, Any]:
        return {
            "schema": 1,
            "node": self.name,
            "identity": "first",
            "runtime": RUNTIME,
            "generation": "g1",
            "services": services,
        }

    def run(self, verb: str, *arguments: str, stdin: Any = "") -> "subprocess.CompletedProcess[str]":
        root = [] if verb == "install" else ["--root", self.root]
        launcher = f"/opt/dynamo-multinode/{self.release}/nodectl/run"
        text = stdin if isinstance(stdin, str) else json.dumps(stdin)
        return self.host.exec([launcher, "mocker", verb, *arguments, *root], stdin=text, seconds=120)

    def done(self, verb: str, *arguments: str, stdin: Any = "") -> Any:
        """Run a verb that must succeed, and return the JSON that it printed."""
        ran = self.run(verb, *arguments, stdin=stdin)
        assert ran.returncode == 0, ran.stderr
        return json.loads(ran.stdout)

    def apply(self, **services: Mapping[str, Any]) -> dict[str, list[str]]:
        applied: dict[str, list[str]] = self.done("apply", stdin=self.manifest(**services))
        return applied

    def status(self) -> dict[str, dict[str, Any]]:
        services: dict[str, dict[str, Any]] = json.loads(self.run("status").stdout)["services"]
        return services

    def ready(self) -> bool:
        return self.run("status").returncode == 0

    def report(self, service: str) -> dict[str, Any]:
        """Return what a fake service said about its start, waiting for the process that runs now."""

        def current() -> dict[str, Any] | None:
            found = self.host.exec(["cat", f"{self.root}/data/{service}.json"])
            if found.returncode:
                return None
            report: dict[str, Any] = json.loads(found.stdout)
            return report if report["pid"] == self.pid(service) else None

        return eventually(current, what=f"{service} says how it was started")

    def unit(self, service: str) -> str:
        return f"dynamo.{self.stack}.{self.name}.{service}.service"

    def pid(self, service: str) -> int:
        return int(self.output_of("systemctl", "show", "--property=MainPID", "--value", self.unit(service)))

    def there(self, path: str) -> bool:
        return self.host.exec(["test", "-e", path]).returncode == 0

    def output_of(self, *command: str) -> str:
        return self.host.exec(command, check=True).stdout.strip()

    def as_service(self, *command: str) -> None:
        """Run a command as the user whom services run as."""
        self.host.exec(["runuser", "-u", "dynamo-multinode", "--", *command], check=True)
