"""Three stack files that are right, and together have every key of a stack file."""

from collections.abc import Callable, Iterator
from typing import Any, Final

Tree = Any

_ROLE: Final = {
    "replicas": 1,
    "parallelism": {"tensor": 1, "pipeline": 1, "data": 1, "expert": False},
    "flags": {"max-model-len": 8192, "hf-overrides": {"a": {"b": ["c"]}}},
    "env": {"NCCL_DEBUG": "INFO"},
}
_SHAPE: Final = {
    "weightsGb": 1.5,
    "layers": 8,
    "attentionHeads": 8,
    "kvHeads": 8,
    "headSize": 64,
    "context": 8192,
    "dtype": "bfloat16",
    "gated": False,
}
_HOST_KEY: Final = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGAgEGNedF3RWLspf6t5OrXdXCwd1HeDFeDRTCchXS9r"
_DOWNLOAD: Final = {"url": "https://mirror.example.org/etcd.tar.gz", "sha256": "ab" * 32}


def _file(**keys: Any) -> dict[str, Any]:
    config = {"pattern": "agg", "roles": {"aggregated": {"replicas": 2}}} | keys
    return {"config": {f"dynamo:{key}": value for key, value in config.items()}}


FILES: Final = {
    "local": _file(
        pattern="disagg",
        engine="vllm",
        roles={
            "frontend": {"replicas": 1, "flags": {"router-mode": "kv"}, "env": {"A": "b"}},
            "prefill": _ROLE,
            "decode": _ROLE,
        },
        head={"placement": "colocated", "node": 1},
        rollout={"maxUnavailable": 1, "drainSeconds": 60},
        proofSeconds=900,
        ports={
            "frontend": 8000,
            "balancedFrontend": 8001,
            "gate": 8002,
            "frontendResponseStream": 8003,
            "nats": 4222,
            "natsMonitoring": 8222,
            "etcd": 2379,
            "etcdPeer": 2380,
            "requestPlane": 9401,
            "responseStream": 9402,
            "system": 9090,
            "nixl": 5600,
            "master": 29501,
        },
        cost={"maxHourly": 900.5},
        target={"kind": "local", "nodes": 2, "gpusPerNode": 1, "device": "cpu"},
        model={
            "source": "path",
            "name": "tiny",
            "servedName": "small",
            "path": "/models/tiny",
            "shape": _SHAPE,
        },
        runtime={
            "kind": "container",
            "image": "registry.example.org/vllm:1",
            "program": "auto",
            "index": "https://packages.example.org/simple",
            "stores": {"source": "release", "nats": _DOWNLOAD, "etcd": _DOWNLOAD},
        },
    ),
    "hosts": _file(
        target={
            "kind": "hosts",
            "inventory": [
                {
                    "name": "gpu-1",
                    "address": "10.0.0.11",
                    "host": "gpu-1.example.org",
                    "user": "ops",
                    "port": 22,
                    "bastion": "ops@bastion",
                    "hostKey": _HOST_KEY,
                },
                {"name": "gpu-2", "address": "10.0.0.12"},
            ],
            "user": "ops",
            "port": 22,
            "bastion": "ops@bastion",
            "gpusPerNode": 1,
            "device": "cuda",
            "firewall": {"mode": "manage", "clients": ["10.0.0.0/8"], "openPorts": [2222]},
        },
        model={
            "source": "hub",
            "name": "someone/model",
            "revision": "main",
            "endpoint": "https://hub.example.org",
        },
        proxy={
            "http": "http://proxy.example.org:3128",
            "https": "http://proxy.example.org:3128",
            "no": [".example.org"],
        },
        runtime={"kind": "preinstalled", "path": "/opt/dynamo", "wheels": "/srv/wheels"}
        | {"allowOtherVersions": True},
    ),
    "aws": _file(
        target={
            "kind": "aws",
            "instanceType": "p5.48xlarge",
            "headInstanceType": "m7i.2xlarge",
            "region": "us-east-1",
            "zone": "us-east-1a",
            "purchase": {"option": "reservation", "reservationId": "cr-0123456789abcdef0"},
            "placementGroup": "near",
            "network": {
                "cidr": "10.1.0.0/24",
                "vpcId": "vpc-0123456789abcdef0",
                "subnetId": "subnet-0123456789abcdef0",
                "firstAddress": 11,
                "publicHead": True,
                "egress": "nat",
            },
            "access": "proxy",
            "adminRanges": ["203.0.113.7/32"],
            "clientRanges": ["203.0.113.0/24"],
            "openToTheWorld": False,
            "efa": True,
            "ami": {"id": "ami-0123456789abcdef0", "release": "1", "user": "ubuntu"},
            "volume": {"sizeGib": 200, "iops": 6000, "throughput": 500},
            "keyPair": "mine",
            "instanceProfile": "nodes",
            "kmsKeyId": "alias/nodes",
            "lifetime": {"maxMinutes": 600, "idleMinutes": 60, "warnMinutes": 10, "action": "terminate"},
            "tags": {"team": "search"},
            "allowLocalState": True,
        },
        head={"placement": "dedicated", "node": 1},
        model={"source": "s3", "name": "llama", "uri": "s3://models/llama", "shape": _SHAPE},
        runtime={"kind": "venv"},
    ),
}


def paths(tree: Tree, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield where everything is in a file: keys and places in lists, one below the other."""
    if path:
        yield path
    children = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    for key, child in children:
        yield from paths(child, (*path, key))


def edited(tree: Tree, path: tuple[Any, ...], edit: Callable[[Tree, Any], Tree]) -> Tree:
    """Return the tree with `edit(parent, key)` in place of the parent of what is at the path."""
    key, *rest = path
    if not rest:
        return edit(tree, key)
    changed = dict(tree) if isinstance(tree, dict) else list(tree)
    changed[key] = edited(tree[key], tuple(rest), edit)
    return changed
