"""Specs for tests of the proof: a plan's addresses without a plan."""

from typing import Any

from nodectl.contract.proof import ProofInstance, ProofSpec

NAMESPACE = "dynamo-g1"


def worker(service: str, node: int, address: str) -> ProofInstance:
    """Return a planned worker, such as `decode-1` on node 3."""
    role: Any = service.rpartition("-")[0]
    return ProofInstance(
        service=service,
        node=f"node-{node}",
        address=address,
        role=role,
        request_plane=f"{address}:9401",
        system=f"{address}:9090",
    )


def spec(head: str, **changes: Any) -> ProofSpec:
    """Return a spec whose NATS, etcd and frontend are on the node at `head`."""
    planned: dict[str, Any] = {
        "digest": "0123456789abcdef",
        "nats": f"nats://{head}:4222",
        "etcd": f"{head}:2379",
        "frontends": [f"http://{head}:8000"],
        "endpoint": f"http://{head}:8000",
        "model": "tiny",
        "engine": "mocker",
        "router": "kv",
        "namespace": NAMESPACE,
        "instances": [],
        "seconds": 60,
    }
    return ProofSpec(**planned | changes)
