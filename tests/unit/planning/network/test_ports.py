"""Ports are a key of the stack file, and everything that has a port in it follows."""

import json
import re
from itertools import permutations
from typing import Any, Final

import pytest

from nodectl.contract import codec
from planning import manifests, plan, proof_spec
from planning.aws.groups import rules
from planning.changes.topology import topology
from planning.describe import describe
from planning.network.listeners import numbers
from planning.network.ports import STRIDES, problems
from planning.nodes.probes import probe_spec
from settings import Settings
from settings.loader import from_config
from settings.ports import PortSettings
from settings.problems import StackFileError
from tests.unit.plan_examples import addresses, agg, disagg, real, services, settings

DEFAULTS: Final[dict[str, int]] = PortSettings().model_dump(by_alias=True)
HOSTS: Final = {
    "kind": "hosts",
    "inventory": [{"name": f"h{n}", "address": f"10.0.0.{n}"} for n in (1, 2, 3, 4)],
    "gpusPerNode": 2,
    "firewall": {"mode": "manage", "clients": ["203.0.113.0/24"]},
}


def everything(**ports: int) -> Settings:
    """Return a stack that has every kind of service and flow: two frontends, prefill over two nodes."""
    roles = {
        "frontend": {"replicas": 2},
        "prefill": {"parallelism": {"tensor": 4}},
        "decode": {"replicas": 2, "parallelism": {"tensor": 2}},
    }
    model = {"name": "tiny", "source": "path", "path": "/models/tiny"}
    return settings("disagg", roles, target=HOSTS, engine="vllm", model=model, ports=ports)


def said(of: Settings) -> str:
    """Return all that is made of a stack file and has ports in it, as text."""
    made = plan(of)
    at = addresses(made)
    rendered = manifests(made, at)
    found: list[Any] = [codec.encode(manifest) for manifest in rendered.values()]
    found.append(codec.encode(proof_spec(made, at, rendered)))
    found += [codec.encode(probe_spec(made, at, node.name)) for node in made.nodes]
    found += [topology(made, at), describe(made, at), numbers(made)]
    return re.sub(r"[0-9a-f]{8,}", "", json.dumps(found))  # digests


def count(number: int, text: str) -> int:
    return len(re.findall(rf"\b{number}\b", text))


@pytest.mark.parametrize("key", DEFAULTS)
def test_a_port_that_is_moved_is_moved_wherever_it_stands(key: str) -> None:
    default, moved = DEFAULTS[key], 17000
    before, after = said(everything()), said(everything(**{key: moved}))
    assert count(default, before) > 0
    assert count(default, after) == 0
    assert count(moved, after) == count(default, before)


def listening(of: Settings) -> dict[str, dict[str, str]]:
    return {name: {one.key: one.at for one in service.listens} for name, service in services(of).items()}


def test_the_manifest_has_every_port_of_every_service() -> None:
    assert listening(everything()) == {
        "h1/nats": {"nats": "10.0.0.1:4222", "natsMonitoring": "10.0.0.1:8222"},
        "h1/etcd": {"etcd": "10.0.0.1:2379", "etcdPeer": "10.0.0.1:2380"},
        "h1/balancer": {"frontend": "10.0.0.1:8000"},
        **{
            f"h{n}/frontend": {
                "balancedFrontend": f"10.0.0.{n}:8001",
                "gate": f"10.0.0.{n}:8002",
                "frontendResponseStream": f"10.0.0.{n}:8003",
            }
            for n in (1, 2)
        },
        "h1/prefill-0": {**engine("10.0.0.1"), "nixl": "10.0.0.1:5600", "master": "0.0.0.0:29501"},
        "h2/prefill-0-rank-1": {"nixl": "10.0.0.2:5600"},
        **{f"h{n}/decode-{4 - n}": {**engine(f"10.0.0.{n}"), "nixl": f"10.0.0.{n}:5600"} for n in (3, 4)},
    }


def engine(address: str) -> dict[str, str]:
    return {
        "requestPlane": f"{address}:9401",
        "responseStream": f"{address}:9402",
        "system": f"{address}:9090",
    }


def test_one_frontend_and_simulated_engines_listen_on_less() -> None:
    found = listening(agg())
    assert found["node-1/frontend"] == {
        "frontend": "10.0.0.1:8000",
        "frontendResponseStream": "10.0.0.1:8003",
    }
    assert found["node-2/aggregated-1"] == engine("10.0.0.2")


def test_whatever_shows_that_a_service_is_ready_is_a_port_that_it_has() -> None:
    for of in (everything(), agg(), disagg(), real("agg", {"aggregated": {}})):
        for name, service in services(of).items():
            ends = {listener.endpoint for listener in service.listens}
            assert service.ready.endpoint is None or service.ready.endpoint in ends, name


def refused(**ports: Any) -> dict[str, str]:
    config = {
        "dynamo:target": json.dumps({"kind": "local", "gpusPerNode": 8, "nodes": 1}),
        "dynamo:pattern": "agg",
        "dynamo:model": json.dumps({"source": "generated", "name": "tiny"}),
        "dynamo:roles": json.dumps({"aggregated": {"replicas": 1}}),
        "dynamo:ports": json.dumps(ports),
    }
    with pytest.raises(StackFileError) as error:
        plan(from_config(config, ()))
    return {problem.key: f"{problem.value}: {problem.message}" for problem in error.value.problems}


@pytest.mark.parametrize(
    ("one", "other"), [pair for pair in permutations(DEFAULTS, 2) if pair[0] != "master"], ids=str
)
def test_two_kinds_of_ports_that_meet_are_refused_by_the_key_that_is_written(one: str, other: str) -> None:
    ports = PortSettings.model_validate({one: DEFAULTS[other]})
    found = list(problems(ports, 1, local_ranks=False))
    assert {problem.key for problem in found} == {f"ports.{one}"}
    assert any(f"and {other} " in problem.message for problem in found)


def test_every_slot_counts() -> None:
    assert refused(nats=9097) == {
        "ports.nats": "9097: takes 9097, and system 9090 to 9097: both 9097; write another"
    }
    assert refused(system=9460)["ports.system"].startswith("9460: takes 9460 to 9467, and ")
    assert "ports.etcd" in refused(etcd=5727), "vLLM counts NIXL's up by data-parallel rank"


def test_local_engines_that_span_nodes_need_their_range() -> None:
    [problem] = problems(PortSettings(nats=14222), 1, local_ranks=True)
    assert problem.key == "ports.nats"
    assert "12000 to 28380" in problem.message


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (80, "80: expected 1024 to 65535: services have no right to listen below 1024"),
        (0, "0: expected 1024 to 65535"),
        (65536, "65536: expected 1024 to 65535"),
        (40000, "40000: expected no port of 32768 to 60999, which Linux gives to any connection"),
        ("8000", '"8000": expected'),
        (8000.5, "8000.5: expected"),
        (True, "true: expected"),
        (None, ": is empty"),
    ],
)
@pytest.mark.parametrize("key", ["frontend", "nixl"])
def test_what_is_no_port_for_services_is_refused(key: str, given: Any, says: str) -> None:
    assert refused(**{key: given})[f"ports.{key}"].startswith(says)


@pytest.mark.parametrize("key", sorted(STRIDES.keys() - {"master"}))
def test_a_first_number_whose_last_is_no_port_is_refused(key: str) -> None:
    for first in (32767, 65535):
        assert f"ports.{key}" in refused(**{key: first})


def test_rules_of_security_groups_keep_their_names_when_ports_move() -> None:
    roles: dict[str, Any] = {"prefill": {}, "decode": {}}
    moved = {key: 17000 + 1000 * n for n, key in enumerate(DEFAULTS)} | {"master": 30000}
    before, after = (
        rules(plan(real("disagg", roles, head="dedicated", ports=ports))) for ports in ({}, moved)
    )
    assert {one.name for one in before} == {one.name for one in after}
    assert {one.first for one in before} & {one.first for one in after} == {None, 22}
