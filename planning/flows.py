"""Who connects to whom, and why: firewalls, checks, docs and pictures are all made from this."""

from collections.abc import Iterable, Iterator, Sequence

from planning import ports
from planning.ports import SlotPorts
from planning.values import Engine, Flow, FlowEnd


def flows(engines: Sequence[Engine], *, vllm: bool) -> tuple[Flow, ...]:
    """Return every flow between nodes (and from clients), sorted; what stays on a node is none."""
    return tuple(sorted({*_head(), *_workers(engines), *(_vllm(engines) if vllm else ())}))


def _head() -> Iterator[Flow]:
    yield _flow("client", "frontend", ports.FRONTEND, "requests")
    yield _flow("node", "head", ports.NATS, "events: which KV blocks are held, which requests are active")
    yield _flow("node", "head", ports.ETCD, "registry of workers, leases, locks")
    yield _flow("head", "frontend", ports.FRONTEND, "proof")
    yield _flow("worker", "frontend", ports.FRONTEND_RESPONSE_STREAM, "tokens back, a connection per request")


def _workers(engines: Iterable[Engine]) -> Iterator[Flow]:
    for engine in engines:
        slot = _first(engine)
        yield _flow("frontend", "worker", slot.request_plane, "requests to workers")
        yield _flow("frontend", "worker", slot.system, "model card")
        yield _flow("head", "worker", slot.system, "proof: health and metrics")
        if engine.role == "prefill":
            yield _flow("worker", "prefill", slot.response_stream, "answers to what prefill asks")


def _vllm(engines: Sequence[Engine]) -> Iterator[Flow]:
    """Yield what real engines need beyond Dynamo: KV blocks between workers, collectives between ranks."""
    for engine in engines:
        if engine.role == "prefill":
            for rank in engine.ranks:
                yield _flow("decode", "prefill", ports.of_slot(rank.slot).nixl, "NIXL: agree on KV transfer")
        if len(engine.ranks) > 1:
            yield _flow("rank", "rank", _first(engine).master, "rendezvous at rank 0")
            yield Flow("rank", "rank", *ports.EPHEMERAL, "collectives: gloo, NCCL and vLLM take any port")
    if any(engine.role == "prefill" for engine in engines):
        yield Flow("decode", "prefill", *ports.EPHEMERAL, "KV blocks: UCX takes any port")
        yield Flow("prefill", "decode", *ports.EPHEMERAL, "KV blocks: UCX takes any port")


def _first(engine: Engine) -> SlotPorts:
    return ports.of_slot(engine.ranks[0].slot)


def _flow(source: FlowEnd, target: FlowEnd, port: int, why: str) -> Flow:
    return Flow(source, target, port, port, why)
