"""Addresses that a node must reach, and the messages for those that it does not."""

import socket
from collections.abc import Iterator

import pytest

from nodectl.common.errors import BadInputError
from nodectl.contract import codec
from nodectl.contract.probe import ProbeSpec, ProbeTarget
from nodectl.verbs import probe
from planning import plan, probe_spec
from tests.unit.plan_examples import addresses, disagg, settings

SECRET = "hf_abcdefghijklmnopqrstuvwx"


def target(endpoint: str, node: str = "other", why: str = "requests") -> ProbeTarget:
    return ProbeTarget(node=node, endpoint=endpoint, why=why)


def reached(node: str, frontends: int = 1) -> set[str]:
    roles = {"frontend": {"replicas": frontends}, "prefill": {"replicas": 1}, "decode": {"replicas": 2}}
    made = plan(settings("disagg", roles))
    return {one.endpoint for one in probe_spec(made, addresses(made), node).targets}


def test_a_worker_must_reach_the_head_and_the_head_every_worker() -> None:
    assert {"10.0.0.1:4222", "10.0.0.1:2379", "10.0.0.1:8003"} <= reached("node-3")
    assert {"10.0.0.2:9401", "10.0.0.3:9401", "10.0.0.3:9090"} <= reached("node-1")
    assert not any(endpoint.startswith("10.0.0.2:") for endpoint in reached("node-3"))


def test_the_balancer_must_reach_every_frontend_and_its_gate() -> None:
    assert {"10.0.0.2:8001", "10.0.0.2:8002"} <= reached("node-1", frontends=2)


def test_no_node_is_asked_about_itself() -> None:
    made = plan(disagg())
    for name, address in addresses(made).items():
        endpoints = {one.endpoint for one in probe_spec(made, addresses(made), name).targets}
        assert not any(endpoint.startswith(f"{address}:") for endpoint in endpoints)


@pytest.fixture
def listener() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def test_what_listens_is_reached_and_so_is_what_refuses(listener: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        refusing = f"127.0.0.1:{server.getsockname()[1]}"
    assert probe.probe([target(listener), target(refusing)], 0) == {}


def test_a_closed_way_is_told_with_what_it_is_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(place: tuple[str, int], timeout: float) -> socket.socket:
        assert timeout > 0
        if place[1] == 4222:
            raise TimeoutError
        raise OSError(113, "No route to host")

    monkeypatch.setattr(socket, "create_connection", connect)
    targets = [target("10.0.0.1:4222", "head", "events"), target("10.0.0.2:9401", "gpu-2")]
    spec = ProbeSpec(node="gpu-3", targets=targets, seconds=1)
    assert probe.explain(spec, probe.probe(targets, 0)).splitlines() == [
        "gpu-3 cannot reach 2 of 2 ports that it needs:",
        "  head 10.0.0.1:4222   no answer within 3 s, as behind a firewall; for: events",
        "  gpu-2 10.0.0.2:9401  No route to host; for: requests",
        "open them between these machines (docs/ports.md), or let `firewall: manage` do it on each",
    ]


def test_a_spec_is_read_as_it_was_written_and_anything_else_is_refused_without_repeating_it() -> None:
    made = plan(disagg())
    spec = probe_spec(made, addresses(made), "node-1")
    assert codec.read(ProbeSpec, codec.written(spec), "a probe spec") == spec
    for wrong in ("", "[]", "{}", codec.written(spec).replace('"why"', f'"{SECRET}"')):
        with pytest.raises(BadInputError) as refusal:
            codec.read(ProbeSpec, wrong, "a probe spec")
        assert "a probe spec" in str(refusal.value)
        assert SECRET not in str(refusal.value)
