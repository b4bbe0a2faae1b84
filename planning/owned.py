"""What a stack file cannot pass on as a flag or an environment variable, because planning decides it."""

from collections.abc import Mapping
from typing import Final

_PLANNED: Final = "planning decides it; remove it"
_PORTS: Final = "ports and addresses are planned (docs/ports.md); remove it"
_PLACED: Final = "planned from `parallelism` and the GPUs of the nodes; remove it"
_GENERATION: Final = "workers of different generations are kept apart by it; remove it"
_PATTERN: Final = "use `pattern` and the roles `prefill` and `decode`"
_REPLICAS: Final = "use `replicas`"

_PLANES: Final = dict.fromkeys(
    ("discovery-backend", "event-plane", "request-plane", "response-plane"), _PLANNED
)

FLAGS: Final[Mapping[str, Mapping[str, str]]] = {
    "dynamo.frontend": {
        **_PLANES,
        **dict.fromkeys(("http-host", "http-port"), _PORTS),
        **dict.fromkeys(("namespace", "namespace-prefix"), _GENERATION),
        "router-replica-sync": "use `roles.frontend.replicas`",
    },
    "dynamo.mocker": {
        **_PLANES,
        **dict.fromkeys(("disaggregation-mode", "is-decode-worker", "is-prefill-worker"), _PATTERN),
        **dict.fromkeys(("data-parallel-size", "num-workers"), _REPLICAS),
        "endpoint": _GENERATION,
        "model-name": "use `model.servedName`",
        "model-path": "use `model.name` or `model.path`",
    },
    "dynamo.vllm": {
        **_PLANES,
        **dict.fromkeys(("disaggregation-mode", "is-decode-worker", "is-prefill-worker"), _PATTERN),
        **dict.fromkeys(("endpoint", "namespace"), _GENERATION),
        **dict.fromkeys(
            (
                "distributed-executor-backend",
                "headless",
                "master-addr",
                "master-port",
                "nnodes",
                "node-rank",
                "prefill-context-parallel-size",
            ),
            _PLACED,
        ),
        **dict.fromkeys(
            (
                "data-parallel-address",
                "data-parallel-external-lb",
                "data-parallel-hybrid-lb",
                "data-parallel-multi-port-external-lb",
                "data-parallel-rank",
                "data-parallel-rpc-port",
                "data-parallel-size",
                "data-parallel-size-local",
                "data-parallel-start-rank",
            ),
            _REPLICAS,
        ),
        **dict.fromkeys(("connector", "kv-transfer-config"), "planned for `pattern: disagg`; remove it"),
        "enable-expert-parallel": "use `parallelism.expert`",
        "kv-events-config": "planned from `roles.frontend.flags.router-mode`; remove it",
        "model": "use `model.name` or `model.path`",
        "pipeline-parallel-size": "use `parallelism.pipeline`",
        "revision": "use `model.revision`",
        "served-model-name": "use `model.servedName`",
        "tensor-parallel-size": "use `parallelism.tensor`",
    },
}
"""Module -> flag -> what to use instead."""

ENV: Final[Mapping[str, str]] = {
    **dict.fromkeys(("ETCD_ENDPOINTS", "NATS_SERVER"), "planned from `head`; remove it"),
    **dict.fromkeys(("DYN_NAMESPACE", "DYN_NAMESPACE_WORKER_SUFFIX"), _GENERATION),
    **dict.fromkeys(
        (
            "CUDA_VISIBLE_DEVICES",
            "DYNAMO_MULTINODE_NODE",  # what the processes of a node are found by
            "DYN_EVENT_PLANE",
            "DYN_SELF_HOST_METADATA",  # how frontends get tokenizer and configuration
            "DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS",
            "ETCD_LEASE_TTL",
        ),
        _PLANNED,
    ),
    **dict.fromkeys(
        (
            "DYN_EVENT_PLANE_HOST",
            "DYN_SYSTEM_HOST",
            "DYN_SYSTEM_PORT",
            "DYN_TCP_RESPONSE_STREAM_HOST",
            "DYN_TCP_RESPONSE_STREAM_PORT",
            "DYN_TCP_RPC_HOST",
            "DYN_TCP_RPC_PORT",
            "VLLM_HOST_IP",
            "VLLM_NIXL_SIDE_CHANNEL_HOST",
            "VLLM_NIXL_SIDE_CHANNEL_PORT",
        ),
        _PORTS,
    ),
}
"""Environment name -> what to do instead."""
