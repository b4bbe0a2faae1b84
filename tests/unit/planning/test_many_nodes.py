"""Deployments of up to 2,048 nodes: what each node gets does not grow with their number."""

import ipaddress
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nodectl.contract.codec import written
from planning import manifests, plan, probe_spec, proof_spec, topology
from planning.aws.network import addresses as aws_addresses
from planning.network.firewall import MOST_SOURCES
from planning.network.ports import local_master
from planning.nodes.probes import PEERS, probed
from planning.placement.assignment import node_names
from planning.values import NodeSet, Plan
from program import loopback
from settings import Settings
from settings.loader import read_stack_file
from settings.section import MAX_NODES
from tests.unit.plan_examples import AWS, LLAMA, agg, aws_target, disagg, real, refusals

TP8 = {"parallelism": {"tensor": 8}}


def hosts(count: int, **others: Any) -> dict[str, Any]:
    inventory = [{"name": f"gpu-{n}", "address": address(n)} for n in range(count)]
    return {"kind": "hosts", "inventory": inventory, "gpusPerNode": 8, **others}


def address(number: int) -> str:
    return str(ipaddress.IPv4Address("10.8.0.0") + number)


def addresses(of: Plan) -> dict[str, str]:
    return {node.name: address(number) for number, node in enumerate(of.nodes)}


def on_hosts(count: int) -> Settings:
    roles = {role: {"replicas": count // 2, **TP8} for role in ("prefill", "decode")}
    return real("disagg", roles, target=hosts(count, firewall="manage"))


def over_two_hosts(count: int) -> Settings:
    split = {"replicas": count // 2, "parallelism": {"tensor": 8, "pipeline": 2}}
    return real("agg", {"aggregated": split}, target=hosts(count))


def on_aws(count: int) -> Settings:
    return real("disagg", {role: {"replicas": count // 2} for role in ("prefill", "decode")})


LARGE: dict[str, Callable[[int], Settings]] = {
    "local": agg,
    "local, given": lambda count: disagg(
        count // 2, count // 2, target={"kind": "local", "nodes": count, "gpusPerNode": 1}
    ),
    "hosts": on_hosts,
    "engines over two hosts": over_two_hosts,
    "aws": on_aws,
}


@pytest.mark.parametrize("kind", LARGE)
def test_2048_nodes_can_be_planned_on_every_target(kind: str) -> None:
    made = plan(LARGE[kind](MAX_NODES))
    assert len(made.nodes) == MAX_NODES == 2048
    assert {rank.node for engine in made.engines for rank in engine.ranks} == {n.name for n in made.nodes}


def test_a_stack_file_lists_2048_machines(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.large.yaml"
    given = {"pattern": "agg", "model": {"name": LLAMA}, "roles": {"aggregated": {"replicas": MAX_NODES}}}
    config = {f"dynamo:{key}": value for key, value in {**given, "target": hosts(MAX_NODES)}.items()}
    path.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    assert len(plan(read_stack_file(path)).nodes) == MAX_NODES


def generated(of: Settings) -> int:
    """Return the bytes of everything that is generated for a plan."""
    made = plan(of)
    where = addresses(made)
    rendered = manifests(made, where)
    texts = [written(manifest) for manifest in rendered.values()]
    texts += [written(probe_spec(made, where, node.name)) for node in made.nodes]
    texts += [written(proof_spec(made, where, rendered)), json.dumps(topology(made, where))]
    return sum(map(len, texts))


@pytest.mark.parametrize("kind", LARGE)
def test_what_is_generated_grows_with_the_nodes_and_not_with_their_square(kind: str) -> None:
    half, whole = (generated(LARGE[kind](count)) / count for count in (512, 1024))
    assert whole < 1.05 * half


def test_2048_local_nodes_have_loopback_addresses_and_rendezvous_ports_of_their_own() -> None:
    names = node_names(MAX_NODES)
    for first in ("127.16.0.11", "127.254.255.11"):
        by_node = loopback.addresses(first, names)
        assert len(set(by_node.values())) == MAX_NODES
        assert all(ipaddress.IPv4Address(at).is_loopback for at in by_node.values())
        assert len({local_master(at) for at in by_node.values()}) == MAX_NODES


def test_the_default_network_on_aws_holds_2048_nodes_and_a_small_one_is_refused_with_the_reason() -> None:
    made = plan(on_aws(MAX_NODES))
    assert len(set(aws_addresses(aws_target(), made.nodes).values())) == MAX_NODES
    roles = {"aggregated": {"replicas": MAX_NODES}}
    small = real("agg", roles, target=AWS | {"network": {"cidr": "10.1.0.0/20"}})
    assert "holds 2036 nodes" in refusals(small)["target.network.cidr"]
    assert "the plan has 2048; write a wider range" in refusals(small)["target.network.cidr"]


@given(st.integers(1, 300), st.integers(1, 300), st.integers(0, 300))
def test_every_target_is_probed_by_as_many_sources_as_every_other(first: int, second: int, both: int) -> None:
    names = [f"node-{number}" for number in range(first + second)]
    sources, targets = NodeSet.of(names[:first]), NodeSet.of(names[max(0, first - both) :])
    tries = {name: probed(sources, targets, name) for name in sources.names}
    assert all(name not in tried and len(set(tried)) == len(tried) for name, tried in tries.items())
    by = Counter(target for tried in tries.values() for target in tried)
    for target in targets.names:
        others = len(sources) - (target in sources)
        assert by[target] >= min(others, PEERS - 1)
    assert sum(by.values()) <= 2 * PEERS * max(len(sources), len(targets))


def test_the_ranks_of_an_engine_probe_each_other_among_however_many() -> None:
    made = plan(over_two_hosts(128))
    for engine in made.engines:
        first, second = (rank.node for rank in engine.ranks)
        for node, other in ((first, second), (second, first)):
            reasons = {
                (target.node, why)
                for target in probe_spec(made, addresses(made), node).targets
                for why in target.why.split("; ")
            }
            assert (other, "rendezvous at rank 0") in reasons


def test_the_firewall_of_many_hosts_lets_in_their_ranges_and_nothing_else() -> None:
    made = plan(on_hosts(2 * MOST_SOURCES + 100))
    where = addresses(made)
    openings = manifests(made, where)[made.head].firewall
    assert openings is not None
    [to_etcd] = [opening for opening in openings.openings if opening.first == made.settings.ports.etcd]
    let_in = [str(at) for source in to_etcd.sources for at in ipaddress.IPv4Network(source)]
    assert sorted(let_in) == sorted(where.values())
    assert len(to_etcd.sources) < 10
