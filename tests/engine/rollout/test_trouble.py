"""Failures in the middle of a rolling change: it ends, gives the reason, and leaves the rest serving."""

import json
import signal
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace

import pytest

from nodectl.common.layout import Layout
from nodectl.contract import codec
from nodectl.contract.manifest import Manifest
from nodectl.etcd import client
from nodectl.services import supervision
from planning import proof_spec
from tests.engine.rollout.fleet import SECONDS, Fleet, Outcome, line_with
from tests.engine.rollout.stacks import agg

Make = Callable[[str], Fleet]


@pytest.fixture(scope="module")
def fleet(make: Make) -> Fleet:
    """Three aggregated workers."""
    fleet = make("trouble")
    outcomes = fleet.up(agg(3))
    assert not any(outcome.code for outcome in outcomes.values()), outcomes
    return fleet


def flags(fleet: Fleet) -> list[str | None]:
    """Return what each worker's launch file says about the flag that the tests change."""
    return [fleet.flag(f"node-{n + 1}", f"aggregated-{n}", "max-num-seqs") for n in range(3)]


def failed(outcomes: Mapping[str, Outcome]) -> dict[str, str]:
    return {node: outcome.output for node, outcome in outcomes.items() if outcome.code}


def broken(_: str, manifest: Manifest) -> Manifest:
    """Return the manifest with a value that plan would have refused, since plan knows no other bad ones."""
    services = {
        name: replace(service, flags={**service.flags, "max-num-seqs": "many"})
        if "max-num-seqs" in service.flags
        else service
        for name, service in manifest.services.items()
    }
    return replace(manifest, services=services)


def test_a_bad_flag_stops_at_the_first_worker_and_the_rest_serve(fleet: Fleet) -> None:
    with fleet.load(stream_tokens=400) as load:
        outcomes = fleet.up(agg(3, flags={"max-num-seqs": 7}), edit=broken)
    print(load.report.row("bad flag, 3 aggregated workers"))
    assert not load.report.failures
    errors = failed(outcomes)
    assert len(errors) == 3
    (stopped,) = (output for output in errors.values() if "was changed and does not serve" in output)
    assert "ended 3 times within" in stopped
    assert "invalid int value: 'many'" in stopped
    assert "more: " in stopped
    assert sum("got the same change and does not serve" in output for output in errors.values()) == 2
    assert sorted(map(str, flags(fleet))) == ["None", "None", "many"]


def test_the_next_up_with_the_flag_repaired_converges_and_loses_nothing(fleet: Fleet) -> None:
    with fleet.load(stream_tokens=400) as load:
        outcomes = fleet.up(agg(3, flags={"max-num-seqs": 64}))
    print(load.report.row("the flag repaired"))
    assert not failed(outcomes)
    assert not load.report.failures
    assert flags(fleet) == ["64", "64", "64"]


@pytest.mark.parametrize(("moment", "value"), [("changing", 8), ("starting", 9)])
def test_an_up_after_the_lock_holder_was_killed_converges(fleet: Fleet, moment: str, value: int) -> None:
    wanted = agg(3, flags={"max-num-seqs": value})
    planned, _ = fleet.plan(wanted)
    holder = fleet.apply("node-2", fleet.manifests(planned)["node-2"])
    line_with(holder, moment)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    outcomes = fleet.up(wanted)
    assert not failed(outcomes)
    assert flags(fleet) == [str(value)] * 3
    assert fleet.answers()


def test_a_held_lock_is_waited_for_with_its_holder_and_time_named(fleet: Fleet) -> None:
    store = client.connect(f"{fleet.addresses['node-1']}:2379")
    lease = store.lease(60)
    holder = {"node": "node-9", "service": "aggregated-9", "pid": 4711}
    store.put("/dynamo-multinode/trouble/rollout/aggregated/0", json.dumps(holder), lease)
    planned, _ = fleet.plan(agg(3, flags={"max-num-seqs": 32}))
    waiting = fleet.apply("node-3", fleet.manifests(planned)["node-3"])
    line = line_with(waiting, "waits for")
    assert line.startswith("aggregated-2 waits for aggregated-9 on node-9 (process 4711) to change (0 s of ")
    assert flags(fleet)[2] != "32"
    lease.revoke()
    waiting.communicate()
    assert waiting.returncode == 0
    assert flags(fleet)[2] == "32"


@pytest.fixture
def full(fleet: Fleet) -> Iterator[None]:
    """An etcd that answers and refuses to write, as one whose file has reached the quota."""
    store = client.connect(f"{fleet.addresses['node-1']}:2379")
    member = store.status()["header"]["member_id"]
    alarm = {"action": "ACTIVATE", "memberID": member, "alarm": "NOSPACE"}
    store.post(store.get_url("/maintenance/alarm"), json=alarm)
    yield
    store.post(store.get_url("/maintenance/alarm"), json={**alarm, "action": "DEACTIVATE"})


def test_no_worker_stops_while_etcd_refuses_to_write(fleet: Fleet, full: None) -> None:
    before = flags(fleet)
    changed = agg(3, flags={"max-num-seqs": 48})
    with fleet.load(stream_tokens=100) as load:
        outcomes = fleet.up(changed)
    errors = failed(outcomes)
    assert len(errors) == 3
    for node, error in errors.items():
        assert "stays as it is: etcd refuses to write: alarm NOSPACE" in error
        assert f"`scripts/node trouble {node} compact`" in error
    assert flags(fleet) == before
    assert not load.report.failures
    assert fleet.answers()
    planned, found = fleet.plan(changed)
    proof = fleet.run("proof", codec.written(proof_spec(planned, found, fleet.manifests(planned))))
    assert "etcd refuses to write: alarm NOSPACE" in proof.output
    assert "ALARM NOSPACE" in fleet.run("status", "", "--human", "--root", str(fleet.root("node-1"))).output
    for _ in range(2):  # a second time nothing is left to do
        compacted = json.loads(fleet.check("compact", "", "--root", str(fleet.root("node-3"))))
        assert compacted["bytes"]["after"] <= compacted["bytes"]["before"]
    assert not failed(fleet.up(changed))
    assert flags(fleet) == ["48", "48", "48"]


def test_no_worker_stops_while_etcd_is_away_and_all_change_in_turn_once_it_is_back(fleet: Fleet) -> None:
    changed = agg(3, flags={"max-num-seqs": 24})
    planned, _ = fleet.plan(changed)
    wanted = fleet.manifests(planned)
    head = supervision.supervisor(Layout.at(fleet.root("node-1")))
    before = flags(fleet)
    with fleet.load(stream_tokens=100) as load:
        head.stop({"etcd"})
        applies = [fleet.apply(node, wanted[node]) for node in ("node-2", "node-3")]
        for apply in applies:
            assert "while it is away no frontend can say who serves" in line_with(apply, "waiting for etcd")
        assert flags(fleet) == before
        head.start({"etcd"})
        printed = [apply.communicate(timeout=SECONDS)[1] for apply in applies]
    assert [apply.returncode for apply in applies] == [0, 0]
    assert all("serves again after" in text for text in printed), printed
    assert not load.report.failures
    assert not failed(fleet.up(changed))
    assert flags(fleet) == ["24", "24", "24"]


def test_where_no_frontend_serves_a_change_is_made_at_once(fleet: Fleet) -> None:
    fleet.check("remove", "", "--root", str(fleet.root("node-1")))
    planned, _ = fleet.plan(agg(3, flags={"max-num-seqs": 16}))
    process = fleet.apply("node-2", fleet.manifests(planned)["node-2"])
    _, printed = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "changing aggregated-1 at once: nothing of role aggregated serves" in printed
    assert not failed(fleet.up(agg(3, flags={"max-num-seqs": 16})))
