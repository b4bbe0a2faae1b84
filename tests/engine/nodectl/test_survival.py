"""Whatever was killed, and whenever: the next apply converges."""

import random
import signal
import subprocess
from pathlib import Path

import psutil
import pytest

from nodectl.supervisors.identity import local_identity
from nodectl.supervisors.supervisord import Supervisord
from tests.engine.nodectl.node import Node, alive
from tests.waiting import eventually

ROUNDS = 6


def test_everything_killed_comes_back_under_a_new_identity(node: Node) -> None:
    node.apply(one=node.fake("one"))
    assert local_identity(node.root) == node.identity
    for process in node.processes():
        process.kill()
    eventually(lambda: not node.processes(), what="all are dead")
    assert local_identity(node.root) != node.identity
    assert node.apply(one=node.fake("one"))["started"] == ["one"]
    node.report("one")


def test_a_killed_supervisor_leaves_no_second_copy_of_its_services(node: Node, address: str) -> None:
    service = node.fake("one", flags={"listen": f"{address}:8000", "child": True})
    node.apply(one=service)
    child = node.report("one")["child"]
    kill_supervisor(node)
    assert local_identity(node.root) != node.identity
    assert node.apply(one=service)["started"] == ["one"]
    node.report("one")
    assert node.status()["one"].restarts == 0
    assert len([p for p in node.processes() if "fake_service" in p.cmdline()]) == 1
    assert node.stopped_gracefully("one")
    assert not alive(child)


@pytest.mark.parametrize("main", ["alive", "killed"])
def test_remove_ends_what_a_killed_supervisor_left(node: Node, main: str) -> None:
    node.apply(one=node.fake("one", flags={"child": True}))
    report = node.report("one")
    kill_supervisor(node)
    if main == "killed":
        psutil.Process(report["pid"]).kill()
    assert alive(report["child"])
    node.done("remove")
    assert not node.processes()
    assert not alive(report["child"])


@pytest.mark.parametrize("left", ["one", "two"])
def test_a_service_that_stopped_or_was_never_started_is_started_by_the_next_apply(
    node: Node, left: str
) -> None:
    services = {"one": node.fake("one"), "two": node.fake("two")}
    node.apply(**services)
    Supervisord(node.layout).stop([left])
    assert node.apply(**services)["started"] == [left]
    node.report(left)


def test_a_nodectl_killed_at_any_moment_leaves_nothing_that_the_next_one_cannot_converge(node: Node) -> None:
    """Services run once, with the flags of the last manifest, wherever runs before were cut off."""
    moments = random.Random(1)
    for turn in range(ROUNDS):
        services = {
            "one": node.fake("one", flags={"text": f"turn {turn}"}),
            f"only-{turn}": node.fake(f"only-{turn}"),
        }
        cut = node.start("apply", stdin=node.manifest(**services))
        try:
            cut.communicate(timeout=moments.uniform(0.1, 3))
        except subprocess.TimeoutExpired:
            cut.send_signal(signal.SIGKILL)
            cut.communicate()
        node.apply(**services)
        assert node.report("one")["argv"][-1] == f"turn {turn}"
        node.report(f"only-{turn}")
        running = [process for process in node.processes() if "fake_service" in process.cmdline()]
        assert len(running) == len(services)
        assert set(Supervisord(node.layout).states()) == set(services)


def test_a_remove_killed_at_any_moment_is_finished_by_the_next_one(node: Node, tmp_path: Path) -> None:
    moments = random.Random(2)
    for _ in range(ROUNDS):
        node.apply(one=node.fake("one", flags={"child": True}), two=node.fake("two"))
        child = node.report("one")["child"]
        cut = node.start("remove")
        try:
            cut.communicate(timeout=moments.uniform(0.1, 1.5))
        except subprocess.TimeoutExpired:
            cut.send_signal(signal.SIGKILL)
            cut.communicate()
        node.done("remove", "--identity", node.identity)
        assert not node.processes()
        assert not alive(child)
        assert not (tmp_path / ".run").exists()


def kill_supervisor(node: Node) -> None:
    pid = Supervisord(node.layout).pid()
    assert pid
    supervisor = psutil.Process(pid)
    supervisor.kill()
    psutil.wait_procs([supervisor], timeout=10)
