"""Faults under load: what fails meanwhile and how long, and that all is whole again without a person.

Prints a table, one row a fault (docs/survival.md has one): `pytest -s tests/lab/test_survival.py`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import httpx
import pytest

from planning.network.ports import of_slot
from settings.ports import PortSettings
from tests.engine.deployment.checkout import eventually, listed
from tests.lab import faults
from tests.lab.faults import HEAD, WORKER_HOST, Fault, Site
from tests.lab.stacks import LabStacks
from tests.load import Load, wait_for
from tools.hostlab.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

STACK: Final = "on-faults"
SHAPE: Final = {
    "pattern": "agg",
    "head": "dedicated",
    # 6 ms a token: a stream of 400 lasts some seconds
    "roles": {"aggregated": {"replicas": 2, "flags": {"speedup-ratio": 1}}},
}

PER_SECOND: Final = 5.0
WHOLE_SECONDS: Final = 120.0
CLEAN_REQUESTS: Final = 25
"""Requests that must be answered after recovery: 5 seconds of load."""

NEVER: Final = 0.0


@dataclass(frozen=True)
class Case:
    """A fault, and what is promised of it."""

    fault: Fault
    recovers: float
    """Seconds from the fault until the last request that fails has ended; 0: no request fails."""


# The two of etcd stand apart: leases are renewed once a minute, and outages between two renewals add up.
CASES: Final = {
    "etcd stopped for 45 s": Case(faults.stopped("etcd", 45), NEVER),
    "worker killed": Case(faults.killed, NEVER),
    "worker frozen for 20 s": Case(faults.frozen(20), NEVER),
    "NATS stopped for 10 s": Case(faults.stopped("nats", 10), NEVER),
    "worker host rebooted": Case(faults.rebooted(WORKER_HOST), NEVER),
    "worker host without power for 45 s": Case(faults.without_power(WORKER_HOST, 45), 75),
    "worker host cut off for 20 s": Case(faults.cut_off(WORKER_HOST, 20), 45),
    "etcd stopped for 10 s": Case(faults.stopped("etcd", 10), NEVER),
    "etcd lost its data": Case(faults.data_lost, 30),
    "head rebooted": Case(faults.rebooted(HEAD), 60),
    "everything without power for 5 s": Case(faults.all_without_power(5), 90),
}


@dataclass(frozen=True)
class Deployed:
    """The stack that all faults happen to."""

    site: Site
    outputs: dict[str, Any]

    def whole(self) -> bool:
        """Return whether every service is healthy, and just the planned workers are listed, each once.

        A worker that was just killed is listed still: its own health tells.
        """
        head = self._address(HEAD)
        workers = [
            self._address(engine["ranks"][0]["node"]) for engine in self.outputs["topology"]["engines"]
        ]
        numbers = PortSettings()
        health = [f"http://{head}:{numbers.etcd}/health", f"http://{head}:{numbers.nats_monitoring}/healthz"]
        slot = of_slot(numbers, 0)
        health += [f"http://{worker}:{slot.system}/health" for worker in workers]
        there = [where.partition("/")[0] for where in listed(self.outputs)]
        return sorted(there) == sorted(f"{worker}:{slot.request_plane}" for worker in workers) and all(
            httpx.get(url, timeout=2).is_success for url in health
        )

    def _address(self, host: str) -> str:
        return self.site.lab.host(host).address


@pytest.fixture(scope="module")
def deployed(lab: Callable[[int], Lab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """A head without workers, and a worker on each of two other hosts."""
    stacks = LabStacks.make(tmp_path_factory.mktemp("checkout"), lab(3))
    stacks.write(STACK, SHAPE, hosts=3)
    stacks.up(STACK)
    print("\n| fault | requests | failed | seconds to recovery | slowest answered | all healthy after |")
    print("|---|---|---|---|---|---|")
    yield Deployed(Site(stacks.lab, STACK), stacks.checkout.outputs(STACK))
    stacks.down(STACK)


@pytest.mark.parametrize("name", CASES)
def test_nothing_needs_a_person_and_no_more_fails_than_is_promised(deployed: Deployed, name: str) -> None:
    case = CASES[name]
    eventually(deployed.whole, seconds=WHOLE_SECONDS, what="all is whole before the fault")
    with Load(deployed.outputs["endpoint"], "tiny", per_second=PER_SECOND, stream_tokens=400) as load:
        wait_for(lambda: load.streaming, seconds=60, what="streams are answered")
        began = load.now
        case.fault(deployed.site)
        eventually(deployed.whole, seconds=WHOLE_SECONDS, what="all is whole again")
        whole = load.now - began
        answered = len(load.report.answered)
        wait_for(
            lambda: len(load.report.answered) >= answered + CLEAN_REQUESTS,
            seconds=WHOLE_SECONDS,
            what="requests are answered again",
        )
    report, recovery = load.report, load.report.recovery(began)
    times = f"{recovery:.1f} | {report.slowest:.1f} s | {whole:.0f} s"
    print(f"\n| {name} | {report.requests} | {report.failed} | {times} | {report.kinds}", flush=True)
    assert recovery <= case.recovers, report.failures
