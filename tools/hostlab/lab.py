"""A lab: hosts lab-1 … lab-N on their own network, after which everything in the kernel is named."""

import ipaddress
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Final

from nodectl.contract import codec
from nodectl.contract.runtime import ModelSource, RuntimeSpec, Variant
from nodectl.versions import lock_digest
from tools.hostlab import disk, image, keys
from tools.hostlab.errors import LabError
from tools.hostlab.host import Host
from tools.hostlab.lock import alone
from tools.hostlab.network import MOST_HOSTS, Network
from tools.toolchain.common import PROJECT, say

BUNDLED: Final = {"kind": "venv", "stores": {"source": "bundled"}}
"""`runtime` of stacks in the lab: its hosts reach no site of releases."""

DEFAULT_NETWORK = "10.77.0.0/24"
USER = "ops"
"""User for login beside root, with sudo without a password."""

LABS = PROJECT / ".run/lab"


class Lab:
    """The hosts of one network. All state is in the kernel and on the disks, so any process can read it."""

    def __init__(self, network: str = "") -> None:
        """Open the lab of `network`, LAB_NETWORK or 10.77.0.0/24. Raises LabError if it is no private /24."""
        text = network or os.environ.get("LAB_NETWORK") or DEFAULT_NETWORK
        try:
            span = ipaddress.IPv4Network(text)
        except ValueError as error:
            raise LabError(
                f"LAB_NETWORK={text}: {error}; use a private /24 like {DEFAULT_NETWORK}"
            ) from error
        if span.prefixlen != 24 or not span.is_private:
            raise LabError(f"LAB_NETWORK={text}: use a private /24 like {DEFAULT_NETWORK}")
        self.network = Network(span, PROJECT)
        self.folder = LABS / self.network.name
        self.key = LABS / "key"

    @property
    def hosts(self) -> tuple[Host, ...]:
        """Return the hosts that have a disk, in order."""
        return tuple(host for host in self._possible if host.folder.exists())

    def host(self, name: str) -> Host:
        """Return a host by its name. Raises LabError if there is none."""
        for host in self.hosts:
            if host.name == name:
                return host
        names = ", ".join(host.name for host in self.hosts) or "none: `scripts/lab up 2` makes two"
        raise LabError(f"there is no host {name!r}; there are {names}")

    def at(self, address: str) -> Host:
        """Return the host of an address of the range, whether it has a disk or not."""
        first_address = ipaddress.IPv4Address(self.network.address(1))
        name = f"lab-{int(ipaddress.IPv4Address(address)) - int(first_address) + 1}"
        return Host(name, address, self.network, self.folder / name)

    def prepare(self, variant: Variant = "mocker") -> Path:
        """Create the network and the image, but no host; return the image."""
        self.network.check_owner()
        image.ensure_programs()
        with alone(LABS):
            base = self._foundation(variant)
            if not self.network.complete:
                self.network.make()
        return base

    def _foundation(self, variant: Variant) -> Path:
        """Create the runtime, the image and the lab's key; return the image."""
        _install_runtime(variant)
        base = image.ensure_image()
        keys.ensure_pair(self.key)
        return base

    def up(self, count: int, variant: Variant = "mocker") -> tuple[Host, ...]:
        """Bring the lab to `count` ready hosts, from any state; return them.

        `variant` is the node environment that they have from the start (`nodectl install`).
        """
        if not 1 <= count <= MOST_HOSTS:
            raise LabError(f"a lab has 1 to {MOST_HOSTS} hosts, not {count}")
        self.network.check_owner()
        image.ensure_programs()
        with alone(LABS):
            base = self._foundation(variant)
            hosts = self._possible[:count]
            connected = self.network.complete
            for host in self._possible:
                if not (connected and host in hosts and host.folder.exists()):
                    host.kill()
            for host in self._possible[count:]:
                shutil.rmtree(host.folder, ignore_errors=True)
            if not connected:
                self.network.make()
            start = time.monotonic()
            for host in hosts:
                disk.ensure(host.folder, base, host.address, self.network, self.key.with_suffix(".pub"))
                host.power_on()
            for host in hosts:
                host.wait_until_ready()
                say(f"{host.name:<10} {host.address} ready, {time.monotonic() - start:.1f} s")
        return hosts

    def down(self) -> None:
        """Remove everything of the lab except its key: processes, network, control groups, mounts, disks."""
        self.network.check_owner()
        with alone(LABS):
            for host in self._possible:
                host.kill()
            self.network.remove()
            shutil.rmtree(self.folder, ignore_errors=True)

    def target(self) -> dict[str, Any]:
        """Return the hosts as the `dynamo:target` of a stack file."""
        return {
            "kind": "hosts",
            "user": USER,
            "gpusPerNode": 1,
            "device": "cpu",
            "inventory": [
                {"name": host.name, "address": host.address, "hostKey": host.host_key} for host in self.hosts
            ],
        }

    @property
    def _possible(self) -> tuple[Host, ...]:
        """Return every host that fits into the range: one may run although its disk is lost."""
        return tuple(self.at(self.network.address(number)) for number in range(1, MOST_HOSTS + 1))


def _install_runtime(variant: Variant) -> None:
    """Create, on this machine, the environment and the model that the hosts will see.

    As an install on a host does, compile all of the environment: services cannot write to it.
    """
    model = ModelSource(kind="generated", name="tiny")
    spec = RuntimeSpec(variant=variant, lock=lock_digest(variant), model=model)
    install = [sys.executable, "-m", "nodectl", "install"]
    completed = subprocess.run(
        install, input=codec.written(spec), cwd=PROJECT, stdout=subprocess.PIPE, text=True, check=False
    )
    if completed.returncode:
        raise LabError(f"cannot make the {variant} environment for the hosts; the reason is above")
    _compile(Path(json.loads(completed.stdout)["python"]).parents[1], variant)


def _compile(environment: Path, variant: Variant) -> None:
    marker = environment / ".compiled"
    if marker.exists():
        return
    say(f"hosts      compiling the {variant} environment: up to a minute, once")
    python, packages = environment / "bin/python", environment / "lib"
    # without a check: some packages ship tests that are no Python
    subprocess.run([python, "-m", "compileall", "-qq", "-j", "0", packages], check=False)
    marker.touch()
