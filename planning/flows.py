"""Who connects to whom, and why: firewalls, checks, docs and pictures are all made from this."""

from collections.abc import Iterable, Iterator, Sequence

from planning import ports
from planning.ports import SlotPorts
from planning.values import Engine, Flow, FlowEnd


def flows(engines: Sequence[Engine], *, frontends: int, vllm: bool, local: bool) -> tuple[Flow, ...]:
    """Return every flow between nodes (and from clients), sorted; what stays on a node is none."""
    found = {*_head(), *_frontends(frontends), *_workers(engines)}
    if vllm:
        found |= {*_transfer(engines), *_spanning(engines, local=local)}
    return tuple(sorted(found))


def _head() -> Iterator[Flow]:
    yield _flow("node", "head", ports.NATS, "events: which KV blocks are held, which requests are active")
    yield _flow("node", "head", ports.ETCD, "registry of workers, leases, locks")


def _frontends(count: int) -> Iterator[Flow]:
    port = ports.frontend(count)
    yield _flow("node", "frontend", port, "proof; whether a changed worker serves again")
    if count == 1:
        yield _flow("client", "frontend", port, "requests")
    else:
        yield _flow("client", "head", ports.FRONTEND, "requests, to the balancer of several frontends")
        yield _flow("head", "frontend", port, "requests, from the balancer")
        yield _flow("head", "frontend", ports.GATE, "balancer: is it healthy, does it drain")
    yield _flow("worker", "frontend", ports.FRONTEND_RESPONSE_STREAM, "tokens back, a connection per request")


def _workers(engines: Iterable[Engine]) -> Iterator[Flow]:
    for engine in engines:
        slot = _first(engine)
        yield _flow("frontend", "worker", slot.request_plane, "requests to workers")
        yield _flow("frontend", "worker", slot.system, "model card")
        yield _flow("head", "worker", slot.system, "proof: health and metrics")
        if engine.role == "prefill":
            yield _flow("worker", "prefill", slot.response_stream, "answers to what prefill asks")


def _transfer(engines: Sequence[Engine]) -> Iterator[Flow]:
    """Yield how KV blocks get from prefill to decode: NIXL asks, then either side may open the way."""
    prefill = [rank for engine in engines if engine.role == "prefill" for rank in engine.ranks]
    for rank in prefill:
        yield _flow("decode", "prefill", ports.of_slot(rank.slot).nixl, "NIXL: agree on KV transfer")
    if prefill:
        yield Flow("decode", "prefill", *ports.EPHEMERAL, "KV blocks: UCX takes any port")
        yield Flow("prefill", "decode", *ports.EPHEMERAL, "KV blocks: UCX takes any port")


def _spanning(engines: Iterable[Engine], *, local: bool) -> Iterator[Flow]:
    """Yield what the ranks of an engine need of each other."""
    for engine in engines:
        if len(engine.ranks) > 1:
            master = _first(engine).master
            first, last = ports.LOCAL_MASTERS if local else (master, master)
            yield Flow("rank", "rank", first, last, "rendezvous at rank 0")
            yield Flow("rank", "rank", *ports.EPHEMERAL, "collectives: gloo, NCCL and vLLM take any port")


def _first(engine: Engine) -> SlotPorts:
    return ports.of_slot(engine.ranks[0].slot)


def _flow(source: FlowEnd, target: FlowEnd, port: int, why: str) -> Flow:
    return Flow(source, target, port, port, why)
