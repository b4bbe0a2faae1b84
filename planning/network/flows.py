"""Connections and the reason of each: firewalls, checks, docs and pictures are all made from these."""

from collections.abc import Iterable, Iterator, Sequence

from planning.network.ports import LOCAL_MASTERS, SlotPorts, frontend, of_slot
from planning.values import Engine, Flow, FlowEnd
from settings.ports import EPHEMERAL, PortSettings

_ANY_PORT = "ephemeral"


def flows(
    engines: Sequence[Engine],
    ports: PortSettings,
    *,
    frontends: int,
    vllm: bool,
    local: bool,
    libfabric: bool = False,
) -> tuple[Flow, ...]:
    """Return every flow between nodes (and from clients), sorted; what stays on a node is none.

    With `libfabric` KV blocks move over EFA, which has no ports.
    """
    connections = {*_head(ports), *_frontends(ports, frontends), *_workers(engines, ports)}
    if vllm:
        connections |= {
            *_transfer(engines, ports, libfabric=libfabric),
            *_spanning(engines, ports, local=local),
        }
    return tuple(sorted(connections))


def _head(ports: PortSettings) -> Iterator[Flow]:
    events = "events: which KV blocks are held, which requests are active"
    yield _flow("node", "head", ports.nats, events, "nats")
    yield _flow("node", "head", ports.etcd, "registry of workers, leases, locks", "etcd")


def _frontends(ports: PortSettings, count: int) -> Iterator[Flow]:
    port, kind = frontend(ports, count), "frontend" if count == 1 else "balanced-frontend"
    yield _flow("node", "frontend", port, "proof; whether a changed worker serves again", kind)
    if count == 1:
        yield _flow("client", "frontend", port, "requests", kind)
    else:
        reason = "requests, to the balancer of several frontends"
        yield _flow("client", "head", ports.frontend, reason, "frontend")
        yield _flow("head", "frontend", port, "requests, from the balancer", kind)
        yield _flow("head", "frontend", ports.gate, "balancer: is it healthy, does it drain", "gate")
    reason = "tokens back, a connection per request"
    yield _flow("worker", "frontend", ports.frontend_response_stream, reason, "frontend-response-stream")


def _workers(engines: Iterable[Engine], ports: PortSettings) -> Iterator[Flow]:
    for engine in engines:
        slot, number = _first(engine, ports), engine.ranks[0].slot
        requests = "requests to workers"
        yield _flow("frontend", "worker", slot.request_plane, requests, "request-plane", slot=number)
        yield _flow("frontend", "worker", slot.system, "model card", "system", slot=number)
        yield _flow("head", "worker", slot.system, "proof: health and metrics", "system", slot=number)
        if engine.role == "prefill":
            reason = "answers to what prefill asks"
            yield _flow("worker", "prefill", slot.response_stream, reason, "response-stream", slot=number)


def _transfer(engines: Sequence[Engine], ports: PortSettings, *, libfabric: bool) -> Iterator[Flow]:
    """Yield how KV blocks get from prefill to decode: NIXL asks, then either side may open UCX's way."""
    prefill = [rank for engine in engines if engine.role == "prefill" for rank in engine.ranks]
    for rank in prefill:
        port = of_slot(ports, rank.slot).nixl
        yield _flow("decode", "prefill", port, "NIXL: agree on KV transfer", "nixl", slot=rank.slot)
    if prefill and not libfabric:
        yield Flow("decode", "prefill", *EPHEMERAL, "KV blocks: UCX takes any port", _ANY_PORT)
        yield Flow("prefill", "decode", *EPHEMERAL, "KV blocks: UCX takes any port", _ANY_PORT)


def _spanning(engines: Iterable[Engine], ports: PortSettings, *, local: bool) -> Iterator[Flow]:
    """Yield what the ranks of an engine need of each other."""
    for engine in engines:
        if len(engine.ranks) > 1:
            master = _first(engine, ports).master
            first, last = LOCAL_MASTERS if local else (master, master)
            slot = None if local else engine.ranks[0].slot
            yield Flow("rank", "rank", first, last, "rendezvous at rank 0", "master", slot)
            reason = "collectives: gloo, NCCL and vLLM take any port"
            yield Flow("rank", "rank", *EPHEMERAL, reason, _ANY_PORT)


def _first(engine: Engine, ports: PortSettings) -> SlotPorts:
    return of_slot(ports, engine.ranks[0].slot)


def _flow(
    source: FlowEnd, target: FlowEnd, number: int, reason: str, port: str, *, slot: int | None = None
) -> Flow:
    return Flow(source, target, number, number, reason, port, slot)
