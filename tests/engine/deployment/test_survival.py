"""Processes die, runs are cut off: requests succeed again, and the next `up` converges."""

import contextlib
import json
import os
import shutil
import signal
import time
from collections.abc import Iterator

import psutil
import pytest

from nodectl.common.layout import Layout
from nodectl.supervisors.supervisord import Supervisord
from tests.engine.deployment.checkout import Checkout, answers, eventually, listed


@pytest.fixture(scope="module")
def deployed(checkout: Checkout) -> Iterator[str]:
    """A disaggregated stack that is up."""
    checkout.run("scripts/up", "local-disagg")
    yield "local-disagg"
    checkout.run("scripts/down", "local-disagg")


def kill_everything(checkout: Checkout) -> None:
    """Kill every process of the checkout at once, as a power cut does."""

    def gone() -> bool:
        found = checkout.processes()
        for process in found:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        psutil.wait_procs(found, timeout=5)
        return not found

    eventually(gone, seconds=30, what="every process is gone")


def test_any_service_killed_comes_back_without_help(checkout: Checkout, deployed: str) -> None:
    outputs = checkout.outputs(deployed)
    for service, pid in sorted(checkout.pids(deployed).items()):
        os.kill(pid, signal.SIGKILL)
        eventually(
            lambda gone=(service, pid): checkout.pids(deployed).get(gone[0]) not in (None, gone[1]),  # type: ignore[misc]
            seconds=30,
            what=f"{service} runs again",
        )
        eventually(lambda: answers(outputs), seconds=60, what=f"requests succeed after {service} was killed")
    checkout.run("scripts/prove", deployed)


def stop_etcd(checkout: Checkout, stack: str, *, seconds: float = 0, losing_data: bool = False) -> None:
    """Stop the head's etcd for so long, and start it again, without its data perhaps."""
    head = Layout.at(checkout.roots(stack)[0])
    supervisor = Supervisord(head)
    supervisor.stop(["etcd"])
    time.sleep(seconds)  # how long it lasts is the fault
    if losing_data:
        shutil.rmtree(head.data / "etcd")
    supervisor.start(["etcd"])


def test_an_etcd_that_lost_its_data_is_registered_with_again_long_before_leases_end(
    checkout: Checkout, deployed: str
) -> None:
    """As after the head was replaced: services of other nodes still hold leases of the etcd that is gone."""
    outputs, before = checkout.outputs(deployed), checkout.pids(deployed)
    stop_etcd(checkout, deployed, losing_data=True)
    registering = {name for name in before if not name.endswith(("etcd", "nats"))}

    def again() -> bool:
        now = checkout.pids(deployed)
        restarted = {name for name in registering if now[name] not in (None, before[name])}
        return restarted == registering and len(listed(outputs)) == 3 and answers(outputs)

    eventually(again, seconds=30, what="all workers are registered again, and requests succeed")
    checkout.run("scripts/prove", deployed)


def test_an_etcd_that_comes_back_with_its_data_restarts_nothing(checkout: Checkout, deployed: str) -> None:
    outputs, before = checkout.outputs(deployed), checkout.pids(deployed)
    stop_etcd(checkout, deployed, seconds=6)
    eventually(lambda: len(listed(outputs)) == 3, seconds=30, what="the frontend lists all workers")
    assert answers(outputs)
    changed = {name for name, pid in checkout.pids(deployed).items() if pid != before[name]}
    assert changed == {"node-1/etcd"}


def test_up_converges_after_everything_was_killed(checkout: Checkout, deployed: str) -> None:
    kill_everything(checkout)
    checkout.run("scripts/up", deployed)
    outputs = checkout.outputs(deployed)
    assert len(listed(outputs)) == len(outputs["topology"]["engines"]), "dead workers are listed no longer"
    assert answers(outputs)


def test_up_converges_after_the_supervisors_alone_were_killed(checkout: Checkout, deployed: str) -> None:
    supervisors = [p for p in checkout.processes() if any("supervisord" in part for part in p.cmdline())]
    assert len(supervisors) == len(checkout.roots(deployed))
    for process in supervisors:
        process.kill()
    psutil.wait_procs(supervisors, timeout=10)
    checkout.run("scripts/up", deployed)
    assert answers(checkout.outputs(deployed))
    again = [p for p in checkout.processes() if any("supervisord" in part for part in p.cmdline())]
    assert len(again) == len(supervisors)


def test_up_converges_after_a_reboot(checkout: Checkout, deployed: str) -> None:
    """A reboot ends every process and changes the boot id; the folders stay."""
    kill_everything(checkout)
    for root in checkout.roots(deployed):
        for path in root.rglob("*"):
            if path.is_file() and not path.is_symlink() and path.stat().st_size < 4096:
                body = path.read_bytes()
                boot = open("/proc/sys/kernel/random/boot_id", "rb").read().strip()  # noqa: PTH123, SIM115
                if boot in body:
                    path.write_bytes(body.replace(boot, b"00000000-0000-4000-8000-000000000000"))
    checkout.run("scripts/up", deployed)
    assert answers(checkout.outputs(deployed))


@pytest.mark.parametrize("victim", ["pulumi", "nodectl", "interrupt"])
@pytest.mark.parametrize("moment", [1.0, 3.0, 5.0])
def test_up_converges_after_it_was_cut_off(checkout: Checkout, victim: str, moment: float) -> None:
    stack = f"cut-{victim}-{int(moment)}"
    checkout.copy_stack("local", stack)
    up = checkout.start("scripts/up", stack)
    try:
        time.sleep(moment)  # the moment is the case, nothing is waited for
        if victim == "interrupt":
            os.killpg(up.pid, signal.SIGINT)
        else:
            for process in psutil.Process(up.pid).children(recursive=True):
                named = process.name() if victim == "pulumi" else " ".join(process.cmdline())
                if victim in named:
                    process.kill()
    except psutil.NoSuchProcess:
        pass
    up.communicate(timeout=120)
    checkout.run("scripts/up", stack)
    assert answers(checkout.outputs(stack))
    checkout.run("scripts/down", stack)
    assert not checkout.roots(stack)


def test_down_removes_what_a_killed_first_up_left(checkout: Checkout) -> None:
    checkout.copy_stack("local", "half")
    up = checkout.start("scripts/up", "half")
    eventually(lambda: bool(checkout.roots("half")), seconds=60, what="a node was begun")
    os.killpg(up.pid, signal.SIGKILL)
    up.communicate(timeout=60)
    checkout.run("scripts/down", "half")
    assert not checkout.roots("half")
    assert not [p for p in checkout.processes() if "half" in json.dumps(p.environ())]


def test_a_lock_of_another_machine_is_named_with_the_command_that_clears_it(checkout: Checkout) -> None:
    checkout.copy_stack("local", "locked")
    checkout.run("pulumi", "stack", "select", "--create", "--stack", "locked")
    lock = checkout.path / ".state/.pulumi/locks/organization/dynamo/locked/1.json"
    lock.parent.mkdir(parents=True, exist_ok=True)
    held = {"pid": 1, "username": "colleague", "hostname": "elsewhere", "timestamp": "2026-01-01T00:00:00Z"}
    lock.write_text(json.dumps(held))
    refusal = checkout.run("scripts/up", "locked", check=False)
    assert refusal.returncode != 0
    printed = refusal.stdout + refusal.stderr
    assert "pulumi cancel" in printed
    assert "elsewhere" in printed
    lock.unlink()
    checkout.run("scripts/down", "locked")


def test_the_whole_gang_comes_back_when_a_rank_dies(checkout: Checkout) -> None:
    checkout.copy_stack("local", "gang")

    def spanning(config: dict[str, object]) -> None:
        config["dynamo:roles"] = {
            "frontend": {"flags": {"router-mode": "kv"}},
            "aggregated": {"parallelism": {"tensor": 2}},
        }

    checkout.edit("gang", spanning)
    checkout.run("scripts/up", "gang")
    outputs = checkout.outputs("gang")
    (engine,) = outputs["topology"]["engines"]
    assert len(engine["ranks"]) == 2
    ranks = {service: pid for service, pid in checkout.pids("gang").items() if "aggregated" in service}
    assert len(ranks) == 2
    for service, pid in ranks.items():
        children = {
            child.pid for name in ranks for child in psutil.Process(checkout.pids("gang")[name]).children()
        }
        os.kill(psutil.Process(checkout.pids("gang")[service]).children()[0].pid, signal.SIGKILL)

        def all_new(old: set[int] = children) -> bool:
            now = [psutil.Process(checkout.pids("gang")[name]).children() for name in ranks]
            return all(now) and not old & {child.pid for rank in now for child in rank}

        eventually(all_new, seconds=60, what=f"both ranks are new after {service} ({pid}) died")
        eventually(lambda: answers(outputs), seconds=60, what="requests succeed")
    checkout.run("scripts/down", "gang")
