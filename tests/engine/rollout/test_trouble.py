"""What goes wrong in the middle of a rolling change: it ends, says why, and leaves the rest serving."""

import json
import signal
from collections.abc import Callable, Mapping

import etcd3gw
import pytest

from tests.engine.rollout.fleet import Fleet, Outcome, said
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
    return {node: outcome.said for node, outcome in outcomes.items() if outcome.code}


def test_a_bad_flag_stops_at_the_first_worker_and_the_rest_serve(fleet: Fleet) -> None:
    with fleet.load(stream_tokens=400) as load:
        outcomes = fleet.up(agg(3, flags={"max-num-seqs": "many"}))
    print(load.report.row("bad flag, 3 aggregated workers"))
    assert not load.report.failures
    errors = failed(outcomes)
    assert len(errors) == 3
    (broken,) = (said for said in errors.values() if "was changed and does not serve" in said)
    assert "ended 3 times within" in broken
    assert "invalid int value: 'many'" in broken
    assert "more: " in broken
    assert sum("got the same change and does not serve" in said for said in errors.values()) == 2
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
    said(holder, moment)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    outcomes = fleet.up(wanted)
    assert not failed(outcomes)
    assert flags(fleet) == [str(value)] * 3
    assert fleet.answers()


def test_a_held_lock_is_waited_for_with_its_holder_and_time_named(fleet: Fleet) -> None:
    etcd = etcd3gw.client(host=fleet.addresses["node-1"], port=2379)
    lease = etcd.lease(60)
    holder = {"node": "node-9", "service": "aggregated-9", "pid": 4711}
    etcd.put("/dynamo-multinode/trouble/rollout/aggregated/0", json.dumps(holder), lease)
    planned, _ = fleet.plan(agg(3, flags={"max-num-seqs": 32}))
    waiting = fleet.apply("node-3", fleet.manifests(planned)["node-3"])
    line = said(waiting, "waits for")
    assert line.startswith("aggregated-2 waits for aggregated-9 on node-9 (process 4711) to change (0 s of ")
    assert flags(fleet)[2] != "32"
    lease.revoke()
    waiting.communicate()
    assert waiting.returncode == 0
    assert flags(fleet)[2] == "32"


def test_where_no_frontend_serves_a_change_is_made_at_once(fleet: Fleet) -> None:
    fleet.check("remove", "", "--root", str(fleet.root("node-1")))
    planned, _ = fleet.plan(agg(3, flags={"max-num-seqs": 16}))
    process = fleet.apply("node-2", fleet.manifests(planned)["node-2"])
    _, printed = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "changing aggregated-1 at once: nothing of role aggregated serves" in printed
    assert not failed(fleet.up(agg(3, flags={"max-num-seqs": 16})))
