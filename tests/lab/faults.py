"""Faults of machines and processes; each lasts for its context, and ends by itself."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from nodectl.common.layout import HOST_ROOTS
from tools.hostlab.host import Host
from tools.hostlab.lab import Lab

HEAD: Final = "lab-1"
WORKER_HOST: Final = "lab-2"
WORKER: Final = "aggregated-0"
"""A service of WORKER_HOST."""

OFF_SECONDS: Final = 20.0
"""Seconds that a host without power stays off."""


@dataclass(frozen=True)
class Site:
    """A stack on the hosts of a lab."""

    lab: Lab
    stack: str

    def control(self, host: str, service: str, *systemctl: str) -> None:
        """Run systemctl on the unit of a service."""
        unit = f"dynamo.{self.stack}.{host}.{service}.service"
        self.lab.host(host).exec(["systemctl", *systemctl, unit], check=True)

    @contextmanager
    def stopped(self, host: str, service: str) -> Iterator[None]:
        """Stop a service for as long as the context lasts."""
        self.control(host, service, "stop")
        try:
            yield
        finally:
            self.control(host, service, "start")


Fault = Callable[[Site], None]


def killed(site: Site) -> None:
    site.control(WORKER_HOST, WORKER, "kill", "--signal=KILL", "--kill-whom=main")


def frozen(seconds: float) -> Fault:
    def freeze(site: Site) -> None:
        site.control(WORKER_HOST, WORKER, "kill", "--signal=STOP")
        try:
            time.sleep(seconds)  # how long it lasts is the fault
        finally:
            site.control(WORKER_HOST, WORKER, "kill", "--signal=CONT")

    return freeze


def rebooted(host: str) -> Fault:
    return lambda site: site.lab.host(host).reboot()


def without_power(host: str, seconds: float) -> Fault:
    def cut(site: Site) -> None:
        _power_cycle(site, [site.lab.host(host)], seconds)

    return cut


def all_without_power(seconds: float) -> Fault:
    """All hosts lose power at once, and get it back with the head last."""
    return lambda site: _power_cycle(site, list(site.lab.hosts), seconds)


def stopped(service: str, seconds: float) -> Fault:
    """A service of the head is stopped, and started again."""

    def stop(site: Site) -> None:
        with site.stopped(HEAD, service):
            time.sleep(seconds)  # how long it lasts is the fault

    return stop


def data_lost(site: Site) -> None:
    """The head's etcd comes back empty, as on a head that was replaced."""
    with site.stopped(HEAD, "etcd"):
        site.lab.host(HEAD).exec(["rm", "-r", f"{HOST_ROOTS}/{site.stack}/{HEAD}/data/etcd"], check=True)


def cut_off(host: str, seconds: float) -> Fault:
    """A host's network is gone; its processes go on."""

    def cut(site: Site) -> None:
        _plug(site, host, "down")
        try:
            time.sleep(seconds)  # how long it lasts is the fault
        finally:
            _plug(site, host, "up")

    return cut


def _plug(site: Site, host: str, state: str) -> None:
    network = site.lab.network.name
    subprocess.run(["ip", "-netns", network, "link", "set", f"vb-{host}", state], check=True)


def _power_cycle(site: Site, hosts: list[Host], seconds: float) -> None:
    for host in hosts:
        host.kill()
    time.sleep(seconds)  # how long it lasts is the fault
    for host in reversed(hosts):
        host.power_on()
    for host in hosts:
        host.wait_until_ready()
