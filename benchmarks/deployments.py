"""Deployments of `up`, copied from its hosts, so that other tools start the same units."""

import json
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.lab.stacks import LabStacks
from tools.hostlab.host import Host

NODES: Final = Path("/var/lib/dynamo-multinode")
RELEASES: Final = Path("/opt/dynamo-multinode")
UNITS: Final = Path("/etc/systemd/system")


@dataclass(frozen=True)
class Deployment:
    """Files of one host: below `files` at their paths there, and `release`, an archive of those in /opt."""

    host: Host
    stack: str
    files: Path
    release: Path

    @property
    def node(self) -> Path:
        """Return the folder of the node on the host."""
        return NODES / self.stack / self.host.name

    @property
    def units(self) -> list[str]:
        return sorted(path.name for path in self._here(UNITS).iterdir())

    @property
    def launches(self) -> list[str]:
        """Return the names of the launch files, which the units read."""
        return sorted(path.name for path in self._here(self.node / "launches").iterdir())

    def _here(self, path: Path) -> Path:
        return self.files / path.relative_to("/")


def collect(stacks: LabStacks, stack: str, folder: Path) -> list[Deployment]:
    """Copy the deployments of `stack`, which is up, into `folder`, with one folder per host."""
    return [_collect(host, stack, folder / host.name) for host in stacks.lab.hosts]


def _collect(host: Host, stack: str, folder: Path) -> Deployment:
    deployment = Deployment(host, stack, folder / "files", folder / "release.tar.gz")
    deployment.files.mkdir(parents=True)
    unit_files = f"dynamo.{stack}.{host.name}.*.service"
    unit_paths = host.exec(["find", str(UNITS), "-maxdepth", "1", "-name", unit_files], check=True).stdout
    _extract(
        _packed(host, [*unit_paths.split(), str(deployment.node / "launches"), str(RELEASES)]),
        deployment.files,
    )
    release = ["tar", "--create", "--gzip", f"--directory={deployment.files}", str(RELEASES.relative_to("/"))]
    deployment.release.write_bytes(subprocess.run(release, capture_output=True, check=True).stdout)
    return deployment


def _packed(host: Host, paths: Sequence[str]) -> bytes:
    pack = ["tar", "--create", "--directory=/", "--exclude=__pycache__", "--"]
    command = host.entering([*pack, *(path.removeprefix("/") for path in paths)])
    return subprocess.run(command, capture_output=True, check=True).stdout


def _extract(archive: bytes, folder: Path) -> None:
    command = ["tar", "--extract", "--no-same-owner", f"--directory={folder}"]
    subprocess.run(command, input=archive, check=True)


def proof_spec(stacks: LabStacks, stack: str) -> str:
    """Return the specification of the stack's own proof, as JSON."""
    exported: Any = json.loads(stacks.checkout.run("pulumi", "stack", "export", "--stack", stack).stdout)
    for resource in exported["deployment"]["resources"]:
        if resource["urn"].endswith("Command::proof"):
            return str(resource["inputs"]["stdin"])
    raise SystemExit(f"stack {stack} proved nothing")
