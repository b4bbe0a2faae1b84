"""Changes of running workers under load: 10 requests a second, half of them streams of seconds, none lost."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from nodectl.contract.manifest import FlagValue, Manifest
from nodectl.dynamo.frontend import Pin
from nodectl.rollout.serving import serving
from tests.engine.rollout.fleet import SECONDS, Fleet, Outcome
from tests.engine.rollout.stacks import agg, disagg
from tests.load import Load, wait_for

Make = Callable[[str], Fleet]
RANKS = ("aggregated-0", "aggregated-0-rank-1", "aggregated-1", "aggregated-1-rank-1")


@contextmanager
def no_loss(fleet: Fleet, name: str) -> Iterator[Load]:
    """Keep a load up over a change, print what became of it, and fail when a request did."""
    with fleet.load(stream_tokens=400) as load:
        wait_for(lambda: load.streaming, seconds=SECONDS, what="streams are answered")
        yield load
        before = load.report.streams
        wait_for(lambda: load.report.streams > before, seconds=SECONDS, what="streams go on being answered")
    print(load.report.row(name))
    assert not load.report.failures


def went_well(outcomes: dict[str, Outcome]) -> bool:
    assert {node: outcome for node, outcome in outcomes.items() if outcome.code} == {}
    return True


def quieter_stores(_: str, manifest: Manifest) -> Manifest:
    """Change a flag of etcd and one of NATS, which no stack file can."""
    changed: dict[str, dict[str, FlagValue]] = {"etcd": {"log-level": "error"}, "nats": {"name": "head"}}
    services = {
        name: replace(service, flags=service.flags | changed.get(name, {}))
        for name, service in manifest.services.items()
    }
    return replace(manifest, services=services)


@pytest.fixture(scope="module")
def two_and_three(make: Make) -> Fleet:
    """Two prefill and three decode workers."""
    fleet = make("disagg")
    went_well(fleet.up(disagg()))
    return fleet


def test_a_flag_change_of_three_decode_workers_loses_nothing(two_and_three: Fleet) -> None:
    with no_loss(two_and_three, "flag change, 3 decode workers"):
        outcomes = two_and_three.up(disagg(flags={"decode": {"max-num-seqs": 128}}))
    assert went_well(outcomes)
    assert sum("waits for" in outcome.output for outcome in outcomes.values()) == 2
    assert two_and_three.flag("node-5", "decode-2", "max-num-seqs") == "128"


def test_a_flag_change_of_two_prefill_workers_loses_nothing(two_and_three: Fleet) -> None:
    changed = disagg(flags={"decode": {"max-num-seqs": 128}, "prefill": {"max-num-seqs": 64}})
    with no_loss(two_and_three, "flag change, 2 prefill workers"):
        assert went_well(two_and_three.up(changed))


@pytest.mark.slow
def test_etcd_and_workers_change_in_one_up_and_nothing_is_lost(two_and_three: Fleet) -> None:
    changed = disagg(flags={"decode": {"max-num-seqs": 96}, "prefill": {"max-num-seqs": 96}})

    with no_loss(two_and_three, "etcd, NATS and all workers change"):
        assert went_well(two_and_three.up(changed, edit=quieter_stores))


@pytest.mark.slow
def test_workers_that_left_the_plan_are_taken_away_without_a_loss(two_and_three: Fleet) -> None:
    fewer = disagg(1, 2, flags={"decode": {"max-num-seqs": 96}, "prefill": {"max-num-seqs": 96}})
    with no_loss(two_and_three, "scale down"):
        assert went_well(two_and_three.up(fewer, edit=quieter_stores))


@pytest.mark.slow
def test_engines_over_several_nodes_change_as_a_whole_one_after_another(make: Make) -> None:
    fleet = make("gangs")
    went_well(fleet.up(agg(2, tensor=2)))
    with no_loss(fleet, "flag change, 2 engines over 2 nodes each"):
        outcomes = fleet.up(agg(2, tensor=2, flags={"max-num-seqs": 64}))
    assert went_well(outcomes)
    assert sum("serves again" in outcome.output for outcome in outcomes.values()) == 2
    logs = [fleet.root(f"node-{n}") / "logs" / f"{name}.log" for n, name in enumerate(RANKS, 1)]
    wait_for(
        lambda: [log.read_text().count("starts rank") for log in logs] == [2, 2, 2, 2],
        seconds=SECONDS,
        what="every rank was started once more",
    )


def test_changes_one_node_after_another_wait_for_nobody(make: Make) -> None:
    fleet = make("agg")
    went_well(fleet.up(agg()))
    with no_loss(fleet, "flag change, 2 aggregated workers, in turn"):
        outcomes = fleet.up(agg(flags={"max-num-seqs": 64}), order=["node-2", "node-1"])
    assert went_well(outcomes)
    assert not any("waits for" in outcome.output for outcome in outcomes.values())


@pytest.mark.slow
def test_another_generation_of_aggregated_workers_takes_over_without_a_loss(make: Make) -> None:
    fleet = make("generations")
    went_well(fleet.up(agg()))
    with no_loss(fleet, "another model, 2 aggregated workers"):
        assert went_well(fleet.up(agg(model="tiny-2")))


@pytest.mark.slow
def test_a_pinned_request_finds_its_worker_whatever_generations_serve(make: Make) -> None:
    fleet = make("pinned")
    went_well(fleet.up(agg()))
    planned, _ = fleet.plan(agg(model="tiny-2"))
    changed = fleet.apply("node-1", fleet.manifests(planned)["node-1"])
    assert changed.communicate(timeout=SECONDS)[1].count("serves again") == 1

    async def pinned() -> None:
        async with serving([fleet.url], "tiny", f"{fleet.addresses['node-1']}:2379") as deployment:
            workers = (await deployment.listings())[fleet.url]
            assert len({worker.namespace for worker in workers}) == len(workers) == 2
            for pin in [Pin(decode=worker.id) for worker in workers for _ in range(10)]:
                await deployment.ask(fleet.url, pin, "pinned")

    asyncio.run(pinned())


@pytest.mark.slow
def test_another_generation_of_prefill_and_decode_workers_takes_over_without_a_loss(make: Make) -> None:
    fleet = make("pairs")
    went_well(fleet.up(disagg(2, 2)))
    with no_loss(fleet, "another model, 2 prefill and 2 decode workers"):
        assert went_well(fleet.up(disagg(2, 2, model="tiny-2")))
