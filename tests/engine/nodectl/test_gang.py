"""Two nodes, one engine: real etcd, real supervisors, a rank on each node; they start and end together."""

import os
import shutil
import signal
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from nodectl.contract import codec
from nodectl.contract.runtime import InstallSpec
from nodectl.runtime import cache
from nodectl.supervisors.supervisord import Supervisord
from nodectl.verbs import install
from tests.engine.nodectl.node import RUNTIME, Node, alive
from tests.waiting import eventually


@dataclass(frozen=True)
class Engine:
    """Rank 0 listens, rank 1 is the stand-in that holds on to it. etcd is a service of the first node."""

    nodes: tuple[Node, Node]
    address: str

    @property
    def etcd(self) -> str:
        return f"{self.address}:2379"

    def store(self) -> dict[str, Any]:
        client, peer = f"http://{self.etcd}", f"http://{self.address}:2380"
        flags = {
            "data-dir": "${data}/etcd",
            "listen-client-urls": client,
            "advertise-client-urls": client,
            "listen-peer-urls": peer,
            "initial-advertise-peer-urls": peer,
            "initial-cluster": f"default={peer}",
        }
        ready = {"http": f"{client}/health", "seconds": 30}
        return {"module": "etcd", "flags": flags, "ready": ready, "stop": {"seconds": 10}}

    def rank(self, number: int, **flags: Any) -> dict[str, Any]:
        master = f"{self.address}:9090"
        gang = {"id": "aggregated-0", "rank": number, "size": 2, "master": master, "etcd": self.etcd}
        place = {"after": [self.etcd], "gang": gang}
        if number == 0:
            return self.nodes[0].fake("rank-0", flags={"listen": master, "child": True} | flags, **place)
        standin = {"module": "nodectl.services.rank_standin", "flags": {"connect": master}, "env": {}}
        return self.nodes[1].fake("rank-1") | standin | place

    def apply(self) -> None:
        self.nodes[0].apply(etcd=self.store(), rank_0=self.rank(0))
        self.nodes[1].apply(rank_1=self.rank(1))

    def runner(self, number: int) -> psutil.Process:
        pid = self.nodes[number].status()[f"rank-{number}"].pid
        return psutil.Process(pid)

    def ranks(self) -> tuple[int, int] | None:
        """Return the processes of both ranks, once rank 1 says that it is connected to this rank 0."""
        try:
            found = [rank.pid for number in (0, 1) for rank in self.runner(number).children()]
            connected = [c for c in psutil.Process(found[1]).net_connections() if c.status == "ESTABLISHED"]
            listening = [c for c in psutil.Process(found[0]).net_connections() if c.status == "LISTEN"]
        except (psutil.Error, IndexError, TypeError):
            return None
        return (found[0], found[1]) if connected and listening else None

    def settled(self) -> tuple[int, int]:
        return eventually(self.ranks, what="both ranks run", seconds=40)

    def anew(self, old: tuple[int, int]) -> tuple[int, int]:
        """Return both ranks' processes, once both are others than before."""

        def other() -> tuple[int, int] | None:
            found = self.ranks()
            return found if found and not set(found) & set(old) else None

        return eventually(other, what="both ranks are new", seconds=60)

    def starts(self, number: int) -> int:
        return self.nodes[number].log(f"rank-{number}").count("starts rank")


@pytest.fixture(scope="session")
def installed() -> Path:
    """The user cache with the real `mocker` environment, which holds etcd."""
    install.provide(codec.decode(InstallSpec, RUNTIME, "a runtime spec"))
    return cache.folder().parent


@pytest.fixture
def engine(tmp_path: Path, installed: Path, address: str) -> Iterator[Engine]:
    """An engine's two nodes, with nothing on them yet."""
    nodes = Node(tmp_path / "node-1", installed), Node(tmp_path / "node-2", installed)
    yield Engine(nodes, address)
    for node in reversed(nodes):
        node.done("remove")
        assert not node.processes()


@pytest.fixture
def running(engine: Engine) -> tuple[int, int]:
    """The processes of both ranks of the engine, which is up."""
    engine.apply()
    return engine.settled()


def test_ranks_that_start_for_the_first_time_start_once(engine: Engine, running: tuple[int, int]) -> None:
    assert [engine.starts(number) for number in (0, 1)] == [1, 1]
    assert [engine.nodes[n].status()[f"rank-{n}"].restarts for n in (0, 1)] == [0, 0]


def test_rank_0_waits_for_its_port_and_the_others_for_rank_0(engine: Engine) -> None:
    with socket.create_server((engine.address, 9090)):
        engine.apply()
        eventually(lambda: "9090 is not free" in engine.nodes[0].log("rank-0"), what="rank 0 waits")
        eventually(lambda: "rank 0 has not started" in engine.nodes[1].log("rank-1"), what="rank 1 waits")
        assert [engine.starts(number) for number in (0, 1)] == [0, 0]
    engine.settled()
    assert [engine.starts(number) for number in (0, 1)] == [1, 1]


@pytest.mark.parametrize("number", [0, 1])
@pytest.mark.parametrize("victim", ["rank", "runner"])
def test_a_killed_rank_or_runner_brings_both_ranks_round(
    engine: Engine, running: tuple[int, int], number: int, victim: str
) -> None:
    child = psutil.Process(running[0]).children()[0].pid
    os.kill(running[number] if victim == "rank" else engine.runner(number).pid, signal.SIGKILL)
    engine.anew(running)
    eventually(
        lambda: not any(map(alive, (*running, child))), what="nothing is left of the old ranks", seconds=10
    )


def test_a_restarted_rank_brings_the_other_round(engine: Engine, running: tuple[int, int]) -> None:
    engine.nodes[0].apply(etcd=engine.store(), rank_0=engine.rank(0, text="changed"))
    engine.anew(running)
    assert engine.nodes[0].stopped_gracefully("rank-0")


def test_ranks_keep_running_while_etcd_is_away(engine: Engine, running: tuple[int, int]) -> None:
    supervisor = Supervisord(engine.nodes[0].layout)
    supervisor.stop(["etcd"])
    for number in (0, 1):
        eventually(
            lambda number=number: "the rank goes on" in engine.nodes[number].log(f"rank-{number}"),  # type: ignore[misc]
            what=f"rank {number} misses etcd",
        )
    supervisor.start(["etcd"])
    eventually(lambda: engine.nodes[0].status()["etcd"].ready, what="etcd is back")
    assert engine.settled() == running


def test_a_rank_that_dies_while_etcd_is_away_brings_both_round_once_it_is_back(
    engine: Engine, running: tuple[int, int]
) -> None:
    supervisor = Supervisord(engine.nodes[0].layout)
    supervisor.stop(["etcd"])
    os.kill(running[1], signal.SIGKILL)
    log = engine.nodes[1].layout.log("rank-1")
    eventually(lambda: f"waiting for {engine.etcd}" in log.read_text(), what="rank 1 waits for etcd")
    assert alive(running[0])
    supervisor.start(["etcd"])
    engine.anew(running)


def test_an_etcd_that_lost_its_data_brings_both_ranks_round(engine: Engine, running: tuple[int, int]) -> None:
    """Rank 0's registration is lost as well, and an engine registers only when it starts."""
    head = engine.nodes[0].layout
    supervisor = Supervisord(head)
    supervisor.stop(["etcd"])
    shutil.rmtree(head.data / "etcd")
    supervisor.start(["etcd"])
    engine.anew(running)
    eventually(
        lambda: [engine.starts(number) for number in (0, 1)] == [2, 2], what="the logs have both starts"
    )
