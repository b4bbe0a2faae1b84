"""The lab's network: a bridge in its own namespace, and one cable from there to this machine.

This machine's own network gets only the end of that cable. A host's cable to the bridge is created and
removed with the host, by systemd-nspawn: `vb-lab-1` in the namespace is the plug of lab-1.
"""

import ipaddress
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tools.hostlab.errors import LabError
from tools.toolchain.common import run

BRIDGE = "br0"
FIRST_HOST = 11
"""lab-1 is .11: lower addresses are for this machine (.1) and for tests."""

MOST_HOSTS = 200

_PLUG = "vb-"
"""Prefix that systemd-nspawn gives a host's end on the bridge."""


@dataclass(frozen=True)
class Network:
    """A /24, which names the lab's objects in the kernel, and the project folder that owns the lab."""

    range: ipaddress.IPv4Network
    owner: Path

    @property
    def name(self) -> str:
        """Return the name of the namespace and of the cable's end on this machine."""
        return "lab" + str(self.range.network_address).rpartition(".")[0]

    @property
    def namespace(self) -> Path:
        """Return the file of the namespace, as `nsenter --net` takes it."""
        return Path("/run/netns", self.name)

    @property
    def gateway(self) -> str:
        """Return this machine's address in the lab."""
        return str(self.range[1])

    def address(self, number: int) -> str:
        """Return the address of host `number`, counted from 1."""
        return str(self.range[FIRST_HOST + number - 1])

    def check_owner(self) -> None:
        """Raise LabError if the range carries the lab of another project folder.

        A lab without a running host has no owner: a killed run left it, and its range can be used.
        """
        owner = self._recorded_owner()
        if owner and owner != self.owner and owner.exists() and self._plugs():
            raise LabError(
                f"{self.range} carries the lab of {owner}: run `scripts/lab down` there, or give this lab"
                " another range, for example LAB_NETWORK=10.79.0.0/24"
            )

    @property
    def complete(self) -> bool:
        """Return whether the network exists, is complete, and is of this folder."""
        return self._recorded_owner() == self.owner and self.namespace.exists()

    def make(self) -> None:
        """Create the network anew. Raises LabError if this machine uses the range for something else."""
        self.remove()
        self._check_free()
        self._ip("netns", "add", self.name)
        in_namespace = ("-netns", self.name, "link")
        self._ip(*in_namespace, "add", BRIDGE, "type", "bridge")
        self._ip(*in_namespace, "set", BRIDGE, "up")
        self._ip("link", "add", self.name, "type", "veth", "peer", "name", "uplink", "netns", self.name)
        self._ip(*in_namespace, "set", "uplink", "master", BRIDGE, "up")
        self._ip("address", "add", f"{self.gateway}/{self.range.prefixlen}", "dev", self.name)
        self._ip("link", "set", self.name, "up")
        # last: what carries the owner's name is whole
        self._ip("link", "set", self.name, "alias", str(self.owner))

    def remove(self) -> None:
        """Remove the network, as far as it exists; the cable goes with either of its ends."""
        for arguments in (["link", "delete", self.name], ["netns", "delete", self.name]):
            subprocess.run(["ip", *arguments], capture_output=True, check=False)

    def unplug(self, host: str) -> None:
        """Remove the plug of a host without power: the kernel may keep a killed host's for a while."""
        command = ["ip", "-netns", self.name, "link", "delete", f"{_PLUG}{host}"]
        subprocess.run(command, capture_output=True, check=False)

    def _plugs(self) -> list[str]:
        """Return the plugs of hosts: each exists as long as its host runs."""
        completed = subprocess.run(
            ["ip", "-netns", self.name, "-json", "link", "show", "type", "veth"],
            capture_output=True,
            text=True,
            check=False,
        )
        links = json.loads(completed.stdout or "[]")
        return [link["ifname"] for link in links if link["ifname"].startswith(_PLUG)]

    def _recorded_owner(self) -> Path | None:
        try:
            alias = Path("/sys/class/net", self.name, "ifalias").read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return None
        return Path(alias) if alias else None

    def _check_free(self) -> None:
        for route in json.loads(self._ip("-json", "-4", "route", "show")):
            destination = route["dst"]
            if destination != "default" and ipaddress.ip_network(destination).overlaps(self.range):
                raise LabError(
                    f"{self.range} is in use on this machine: {destination} by way of {route.get('dev')};"
                    " give the lab another range, for example LAB_NETWORK=10.79.0.0/24"
                )

    @staticmethod
    def _ip(*arguments: str) -> str:
        return run(
            ["ip", *arguments],
            "cannot make the lab's network; the kernel needs network namespaces, bridges and veth pairs",
        )
