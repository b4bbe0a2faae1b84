"""Properties of every stack file that can be planned."""

from collections import Counter
from typing import Any

from hypothesis import assume, given
from hypothesis import settings as drawing
from hypothesis import strategies as st

from nodectl.contract.manifest import Service
from planning import manifests, plan, proof_spec
from planning.values import Plan, PlannedService
from settings import Settings
from settings.problems import StackFileError
from tests.unit.plan_examples import addresses, places, settings

ANY = drawing(max_examples=60, deadline=None)

GPUS = st.sampled_from([1, 2, 4, 8])
TENSOR = st.sampled_from([1, 2, 3, 4, 8, 16])
REPLICAS = st.integers(1, 5)


@st.composite
def stack_files(draw: st.DrawFn) -> Settings:
    """Draw a stack file; its nodes may be too few for its engines."""
    target: dict[str, Any] = {"kind": "local", "gpusPerNode": draw(GPUS)}
    if draw(st.booleans()):
        target["nodes"] = draw(st.integers(1, 12))
    pattern = draw(st.sampled_from(["agg", "disagg"]))
    roles: dict[str, Any] = {
        role: {"replicas": draw(REPLICAS), "parallelism": {"tensor": draw(TENSOR)}}
        for role in (["aggregated"] if pattern == "agg" else ["prefill", "decode"])
    }
    roles["frontend"] = {"replicas": draw(st.integers(1, 2))}
    head = draw(st.sampled_from(["colocated", "dedicated"]))
    # a model that is not known has any number of heads
    model = {"name": "someone/model"}
    engine = draw(st.sampled_from(["vllm", "mocker"]))
    return settings(pattern, roles, target=target, head=head, model=model, engine=engine)


def planned(file: Settings) -> Plan:
    """Return the plan of a stack file that can be planned; others say nothing here."""
    try:
        return plan(file)
    except StackFileError:
        assume(False)
        raise


@ANY
@given(stack_files())
def test_every_engine_gets_the_gpus_that_it_asks_for_and_shares_none(file: Settings) -> None:
    made = planned(file)
    used = Counter((rank.node, gpu) for engine in made.engines for rank in engine.ranks for gpu in rank.gpus)
    assert set(used.values()) == {1}
    available = {(node.name, gpu) for node in made.nodes for gpu in range(node.gpus)}
    assert used.keys() <= available
    for role in ("aggregated", "prefill", "decode"):
        wanted = getattr(file.roles, role)
        engines = [engine for engine in made.engines if engine.role == role]
        assert [engine.index for engine in engines] == list(range(wanted.replicas if wanted else 0))
        for engine in engines:
            assert sum(len(rank.gpus) for rank in engine.ranks) == wanted.parallelism.tensor
            assert len({len(rank.gpus) for rank in engine.ranks}) == 1, "every node has an equal share"


def listening(service: Service) -> dict[str, int]:
    """Return the ports that a service is told to listen on, by the flag or environment name that says so."""
    said: dict[str, Any] = service.env | service.flags
    urls = {name: str(said[name]).rsplit(":", 1)[1] for name in said if name.startswith("listen-")}
    ports = {name: said[name] for name in said if name.lower().endswith("port")}
    if service.gang is None or service.gang.rank:
        ports.pop("master-port", None)
    return {name: int(port) for name, port in (ports | urls).items()}


@ANY
@given(stack_files())
def test_no_two_services_of_a_node_share_a_port(file: Settings) -> None:
    made = planned(file)
    for manifest in manifests(made, addresses(made)).values():
        ports = [port for service in manifest.services.values() for port in listening(service).values()]
        assert len(set(ports)) == len(ports)


REACHED = {
    "head": {"port", "listen-client-urls"},
    "frontend": {"http-port", "DYN_TCP_RESPONSE_STREAM_PORT"},
    "worker": {"DYN_TCP_RPC_PORT", "DYN_SYSTEM_PORT"},
    "prefill": {"DYN_TCP_RESPONSE_STREAM_PORT", "VLLM_NIXL_SIDE_CHANNEL_PORT"},
    "rank": {"master-port"},
}
"""Service that other nodes connect to -> the settings of its ports."""


def ends(service: PlannedService) -> set[str]:
    """Return what a service is to those who connect to it."""
    if service.engine is None:
        return {"frontend" if service.kind == "frontend" else "head"}
    return {"rank"} if service.rank else {"rank", "worker", service.kind} & REACHED.keys()


@ANY
@given(stack_files())
def test_every_port_that_other_nodes_connect_to_is_a_flow_to_its_service(file: Settings) -> None:
    made = planned(file)
    by_node = manifests(made, addresses(made))
    for service in made.services:
        ports = listening(by_node[service.node].services[service.name])
        for end in ends(service):
            opened = [range(flow.first, flow.last + 1) for flow in made.flows if flow.target == end]
            reached = [port for name, port in ports.items() if name in REACHED[end]]
            assert all(any(port in ports_of for ports_of in opened) for port in reached)


@ANY
@given(stack_files())
def test_the_proof_asks_for_every_engine_at_an_address_of_its_own(file: Settings) -> None:
    made = planned(file)
    spec = proof_spec(made, addresses(made), manifests(made, addresses(made)))
    assert [instance.service for instance in spec.instances] == [engine.name for engine in made.engines]
    assert len({instance.request_plane for instance in spec.instances}) == len(made.engines)
    ranks = sum(len(engine.ranks) for engine in made.engines)
    assert sum(1 + len(instance.headless) for instance in spec.instances) == ranks


@ANY
@given(gpus=GPUS, tensor=TENSOR, replicas=REPLICAS)
def test_another_engine_leaves_those_that_are_there_where_they_are(
    gpus: int, tensor: int, replicas: int
) -> None:
    assume(tensor <= gpus or tensor % gpus == 0)

    def placed(count: int) -> dict[str, Any]:
        roles = {"aggregated": {"replicas": count, "parallelism": {"tensor": tensor}}}
        return places(settings("agg", roles, target={"kind": "local", "gpusPerNode": gpus}))

    before, after = placed(replicas), placed(replicas + 1)
    assert {name: after[name] for name in before} == before


@ANY
@given(prefill=REPLICAS, decode=REPLICAS, gpus=GPUS, grown=st.sampled_from(["prefill", "decode"]))
def test_on_a_given_number_of_nodes_neither_role_moves_when_the_other_grows(
    prefill: int, decode: int, gpus: int, grown: str
) -> None:
    def placed(**replicas: int) -> dict[str, Any]:
        roles = {
            role: {"replicas": count, "parallelism": {"tensor": gpus}} for role, count in replicas.items()
        }
        return places(settings("disagg", roles, target={"kind": "local", "gpusPerNode": gpus, "nodes": 12}))

    counts = {"prefill": prefill, "decode": decode}
    before, after = placed(**counts), placed(**counts | {grown: counts[grown] + 1})
    assert {name: after[name] for name in before} == before


@ANY
@given(prefill=REPLICAS, decode=REPLICAS, gpus=GPUS)
def test_another_decode_worker_moves_nothing(prefill: int, decode: int, gpus: int) -> None:
    def placed(count: int) -> dict[str, Any]:
        roles = {"prefill": {"replicas": prefill}, "decode": {"replicas": count}}
        return places(settings("disagg", roles, target={"kind": "local", "gpusPerNode": gpus}))

    before, after = placed(decode), placed(decode + 1)
    assert {name: after[name] for name in before} == before
