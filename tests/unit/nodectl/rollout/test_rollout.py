"""Order of changes, its record in a manifest, and services that have left. No network, no effects."""

from dataclasses import replace
from typing import Any

import pytest

from nodectl.common.errors import NodectlError
from nodectl.contract.manifest import Gang, Manifest, Rollout, RolloutService
from nodectl.dynamo.registry import Listed
from nodectl.etcd.registration import Registered
from nodectl.rollout import locks
from nodectl.rollout.deregister import leaving
from nodectl.rollout.generations import may_stop
from nodectl.services import changes
from nodectl.supervisors.launch import Launch
from nodectl.supervisors.supervisor import State
from planning import followers, manifests, plan
from tests.unit.plan_examples import addresses, agg, disagg, settings

STARTED = Launch(argv=["x"], env={}, secrets=[], after=["etcd:1"], stop_seconds=5, gang=None)
OTHER = replace(STARTED, argv=["y"])
STORE = replace(STARTED, argv=["/environment/bin/etcd"], after=[])
RUNS = State("running", pid=1)


def manifest(node: str = "node-1", **options: Any) -> Manifest:
    """Return the manifest of a node with NATS, etcd, a frontend and an aggregated worker."""
    made = plan(agg(2, **options))
    return manifests(made, addresses(made))[node]


def planned(
    wanted: dict[str, Launch], known: dict[str, Launch], states: dict[str, State] | None = None
) -> changes.Changes:
    runs = states if states is not None else dict.fromkeys(known, RUNS)
    return changes.plan(manifest(), wanted, known, runs)


def test_frontends_and_workers_that_run_and_differ_change_in_turn_frontends_first() -> None:
    known = {"aggregated-0": STARTED, "frontend": STARTED, "etcd": STORE}
    found = planned(dict.fromkeys(known, OTHER), known)
    assert found.in_turn == ("frontend", "aggregated-0")
    assert found.at_once == {"etcd"}


@pytest.mark.parametrize("state", [State("stopped"), State("backoff")])
def test_what_does_not_run_changes_at_once(state: State) -> None:
    found = planned({"aggregated-0": OTHER}, {"aggregated-0": STARTED}, {"aggregated-0": state})
    assert found.in_turn == ()
    assert found.at_once == {"aggregated-0"}


def test_what_is_new_or_the_same_waits_for_nobody() -> None:
    known = {"frontend": STARTED}
    assert planned({"frontend": STARTED, "aggregated-0": STARTED}, known).in_turn == ()


def test_stores_that_leave_stay_until_the_services_that_change_have_deregistered() -> None:
    found = planned({"aggregated-0": OTHER}, {"aggregated-0": STARTED, "etcd": STORE, "frontend": STARTED})
    assert found.last == {"etcd"}
    assert found.at_once == {"frontend"}


def test_a_balancer_that_leaves_goes_first_since_its_port_becomes_the_only_frontends() -> None:
    balancer = replace(STARTED, argv=["/usr/sbin/haproxy"], after=[])
    found = planned({"frontend": OTHER}, {"frontend": STARTED, "balancer": balancer})
    assert found.at_once == {"balancer"}
    assert found.in_turn == ("frontend",)


def rank(number: int, revision: str = "") -> Launch:
    gang = Gang(id="aggregated-0", rank=number, size=2, master="a:1", etcd="a:2", revision=revision)
    return replace(STARTED, gang=gang)


def test_a_headless_rank_gets_its_file_and_is_restarted_by_its_engine() -> None:
    name = "aggregated-0-rank-1"
    found = planned({name: rank(1, revision="b")}, {name: rank(1, revision="a")})
    assert found.staged == {name}
    assert found.at_once == set()
    moved = planned({name: rank(1)}, {name: replace(rank(1), stop_seconds=9)})
    assert moved.at_once == {name}


def rollout(of: Manifest) -> Rollout:
    assert of.rollout
    return of.rollout


def test_a_manifest_names_what_changes_in_turn_with_its_role_and_address() -> None:
    found = rollout(manifest(rollout={"maxUnavailable": 2}))
    assert {name: (one.role, one.address) for name, one in found.services.items()} == {
        "frontend": ("frontend", "10.0.0.1:8000"),
        "aggregated-0": ("aggregated", "10.0.0.1:9401"),
    }
    assert (found.etcd, found.frontends, found.max_unavailable) == (
        "10.0.0.1:2379",
        ["http://10.0.0.1:8000"],
        2,
    )


def test_all_of_a_role_share_a_revision_which_changes_with_its_flags() -> None:
    def revision(node: str, worker: str, **flags: Any) -> str:
        roles = {"aggregated": {"replicas": 2, "flags": flags}}
        made = plan(settings("agg", roles))
        return rollout(manifests(made, addresses(made))[node]).services[worker].revision

    assert revision("node-1", "aggregated-0") == revision("node-2", "aggregated-1")
    assert revision("node-1", "aggregated-0") != revision("node-1", "aggregated-0", **{"max-num-seqs": 8})


def test_a_change_of_any_rank_is_a_change_of_rank_0() -> None:
    def gangs(**flags: Any) -> list[str]:
        role = {"parallelism": {"tensor": 2}, "flags": flags}
        made = plan(settings("agg", {"aggregated": role}))
        services = [s for m in manifests(made, addresses(made)).values() for s in m.services.values()]
        return [service.gang.revision for service in services if service.gang]

    first, second = gangs()
    assert first == second != gangs(**{"max-num-seqs": 8})[0]


def test_the_first_node_of_an_engine_follows_its_others() -> None:
    spanning = settings("agg", {"aggregated": {"replicas": 2, "parallelism": {"tensor": 2}}})
    assert followers(plan(spanning)) == {
        "node-1": ["node-2"],
        "node-2": [],
        "node-3": ["node-4"],
        "node-4": [],
    }
    assert not any(followers(plan(disagg())).values())


def test_workers_at_other_addresses_have_left_and_nothing_else() -> None:
    def at(address: str, component: str = "backend") -> Registered:
        return Registered(f"v1/instances/{address}", address, component, "1")

    registered = [
        at("10.0.0.1:9401"),
        at("10.0.0.2:9401"),
        at("10.0.0.3:8000", "frontend"),
        at("10.0.0.4:9401", "prefill"),
    ]
    found = leaving(registered, ["10.0.0.1:9401"])
    assert [one.address for one in found] == ["10.0.0.2:9401", "10.0.0.4:9401"]


def test_nothing_is_stopped_while_etcd_stays_away_since_nothing_could_register_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(locks, "AWAY_SECONDS", 0.5)
    away = replace(rollout(manifest()), etcd="127.0.0.1:1", stack="s")
    held = locks.held(away, "aggregated", "node-1", "aggregated-0", patience=5)
    with pytest.raises(NodectlError, match=r"^aggregated-0 stays as it is: etcd does not answer") as refused:
        held.__enter__()
    assert "`scripts/node s node-1 compact`" in str(refused.value)
    first = capsys.readouterr().err.splitlines()[0]
    assert first.startswith("aggregated-0 waits for its lock (0 s of 0): etcd does not answer")


def listed(*workers: str) -> dict[str, list[Listed]]:
    """Return what one frontend lists: each worker as `generation/component/address`."""
    split = [worker.split("/") for worker in workers]
    return {
        "http://f": [Listed(id=n, namespace=g, component=c, address=a) for n, (g, c, a) in enumerate(split)]
    }


@pytest.mark.parametrize(
    ("workers", "may"),
    [
        (["old/prefill/p0", "old/prefill/p1", "old/backend/d0"], True),
        (["old/prefill/p0", "new/prefill/p1", "old/backend/d0"], False),
        (["old/prefill/p0", "new/prefill/p1", "old/backend/d0", "new/backend/d1"], True),
        (["old/prefill/p0", "old/backend/d0"], True),
        (["old/prefill/p0", "new/prefill/p1"], True),
        (["new/prefill/p0", "new/backend/d0"], True),
    ],
    ids=["others", "last-of-the-old", "new-is-whole", "only-one", "nothing-is-whole", "same-generation"],
)
def test_the_last_worker_of_a_generation_goes_when_the_next_is_whole(workers: list[str], may: bool) -> None:
    service = RolloutService(role="prefill", address="p0:1", revision="r")
    found = listed(*(f"{worker}:1" for worker in workers))
    assert may_stop(found, service, "new") is may
