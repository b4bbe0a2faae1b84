"""Flags and environment variables that a stack file cannot pass on, with the reason of each.

Two kinds: what planning decides itself, and what would break what this program relies on: KV events, the
planes between frontends and workers, discovery, health, the ports, and requests that the proof makes.
What depends on more than the name is in `planning.commands.combinations`.
"""

import re
from collections.abc import Mapping
from typing import Final

_PLANNED: Final = "planning decides it; remove it"
_PORTS: Final = "ports and addresses are planned (docs/ports.md); remove it"
_PLACED: Final = "planned from `parallelism` and the GPUs of the nodes; remove it"
_GENERATION: Final = "workers of different generations are kept apart by it; remove it"
_PATTERN: Final = "use `pattern` and the roles `prefill` and `decode`"
_REPLICAS: Final = "use `replicas`"
_TLS: Final = "encryption between services is not built yet, and one end alone cuts the other off; remove it"
_LOGIN: Final = "the planned NATS and etcd ask nobody for a login; remove it"
_MODEL: Final = "use `model.name` or `model.path`"
_CACHE: Final = "the model is on the node where planning looks for it; remove it"
_HEALTH: Final = "readiness, rolling changes and the proof ask there; remove it"
_KUBERNETES: Final = "this is no Kubernetes cluster; remove it"
_AISIMULATE: Final = "needs the package aisimulate, which the locked versions are without; remove it"
_OTHER_WORK: Final = "such a worker answers no chat completions, which the proof asks for; remove it"
_ELSEWHERE: Final = "would start another engine or server beside the planned one; remove it"

_OURS: Final = "(DYN|DYNAMO|ETCD|LMCACHE|MOONCAKE|NATS|NIXL|VLLM)"
"""Prefixes of the names that Dynamo, vLLM and what they talk through read."""

_IGNORED: Final = "the locked Dynamo takes it and does nothing with it; remove it"
_HTTP: Final = "clients, balancer and proof ask the frontends by HTTP; remove it"
_INDEX: Final = "every frontend has an index of its own; remove it"
_IDLE_PREFILL: Final = "decode workers would do prefill, as if there were no prefill workers; remove it"

_PLANES: Final = dict.fromkeys(
    ("discovery-backend", "event-plane", "request-plane", "response-plane"), _PLANNED
)
_NATS_TLS: Final = dict.fromkeys(
    (
        "nats-tls-ca-cert-path",
        "nats-tls-client-cert-path",
        "nats-tls-client-key-path",
        "nats-tls-insecure",
    ),
    _TLS,
)
_TCP_TLS: Final = dict.fromkeys(
    (
        "tcp-tls-ca-cert-path",
        "tcp-tls-cert-path",
        "tcp-tls-client-ca-cert-path",
        "tcp-tls-client-cert-path",
        "tcp-tls-client-key-path",
        "tcp-tls-key-path",
    ),
    _TLS,
)
_AIS: Final = dict.fromkeys(
    (
        "ais-attention-dp-size",
        "ais-backend",
        "ais-backend-version",
        "ais-model-path",
        "ais-moe-ep-size",
        "ais-moe-tp-size",
        "ais-mtp-seed",
        "ais-nextn",
        "ais-nextn-accept-rates",
        "ais-perf-config",
        "ais-perf-model",
        "ais-system",
        "ais-tp-size",
    ),
    _AISIMULATE,
)

FLAGS: Final[Mapping[str, Mapping[str, str]]] = {
    "dynamo.frontend": {
        **_PLANES,
        **_NATS_TLS,
        **_TCP_TLS,
        **_AIS,
        **dict.fromkeys(("http-host", "http-port"), _PORTS),
        **dict.fromkeys(("namespace", "namespace-prefix"), _GENERATION),
        **dict.fromkeys(("tls-cert-path", "tls-client-ca-cert-path", "tls-key-path"), _TLS),
        **dict.fromkeys(
            ("grpc-metrics-port", "interactive", "kserve-grpc-server"),
            "the frontends serve HTTP, which clients, balancer and proof ask; remove it",
        ),
        **dict.fromkeys(("model-name", "model-path"), "frontends take the model from the workers; remove it"),
        **dict.fromkeys(
            ("serve-indexer", "use-remote-indexer"), "every frontend has an index of its own; remove it"
        ),
        **dict.fromkeys(("admission-control", "enforce-disagg"), _IGNORED),
        "frontend-route-extension": "needs a package that the locked versions are without; remove it",
        "kv-cache-block-size": "frontends take it from the workers; write `block-size` at these",
        "load-aware": "routes without KV events, whatever `router-mode` says; "
        "write `router-mode: least-loaded` for that",
        **dict.fromkeys(("router-conditional-disagg", "router-conditional-disagg-config"), _IDLE_PREFILL),
        "router-replica-sync": "use `roles.frontend.replicas`",
    },
    "dynamo.mocker": {
        **_PLANES,
        **_AIS,
        **dict.fromkeys(("disaggregation-mode", "is-decode-worker", "is-prefill-worker"), _PATTERN),
        **dict.fromkeys(("data-parallel-size", "num-workers", "stagger-delay"), _REPLICAS),
        **dict.fromkeys(("bootstrap-ports", "zmq-kv-events-ports", "zmq-replay-ports"), _PORTS),
        "endpoint": _GENERATION,
        "extra-engine-args": "would replace what is planned and written here; write its content as flags",
        "model-name": "use `model.servedName`",
        "model-path": _MODEL,
    },
    "dynamo.vllm": {
        **_PLANES,
        **_NATS_TLS,
        **_TCP_TLS,
        **dict.fromkeys(("tcp-tls-handshake-timeout", "tcp-tls-insecure", "tcp-tls-server-name"), _TLS),
        **dict.fromkeys(("disaggregation-mode", "is-decode-worker", "is-prefill-worker"), _PATTERN),
        **dict.fromkeys(("endpoint", "kv-state-endpoint", "namespace"), _GENERATION),
        **dict.fromkeys(
            (
                "device-ids",
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
                "data-parallel-backend",
                "data-parallel-external-lb",
                "data-parallel-hybrid-lb",
                "data-parallel-multi-port-external-lb",
                "data-parallel-rank",
                "data-parallel-rpc-port",
                "data-parallel-size",
                "data-parallel-size-local",
                "data-parallel-start-rank",
                "elastic-ep-max-dp-size",
                "enable-elastic-ep",
            ),
            _REPLICAS,
        ),
        **dict.fromkeys(("connector", "kv-transfer-config"), "planned for `pattern: disagg`; remove it"),
        **dict.fromkeys(
            (
                "classify-worker",
                "convert",
                "dyn-endpoint-types",
                "embedding-worker",
                "embedding-worker-processes",
                "realtime",
                "runner",
                "use-vllm-tokenizer",
            ),
            _OTHER_WORK,
        ),
        "benchmark-mode": "measures before it serves, longer than a start may take; remove it",
        "download-dir": _CACHE,
        "enable-expert-parallel": "use `parallelism.expert`",
        "gms-shadow-mode": "would stand by in place of serving; remove it",
        "health-check-payload": _HEALTH,
        "kv-events-config": "planned from `roles.frontend.flags.router-mode`; remove it",
        "model": _MODEL,
        "pipeline-parallel-size": "use `parallelism.pipeline`",
        "revision": "use `model.revision`",
        "route-to-encoder": "no role has encoders; remove it",
        "served-model-name": "use `model.servedName`",
        "tensor-parallel-size": "use `parallelism.tensor`",
    },
}
"""Module -> flag -> what to use instead. Its other names and its environment name are refused as well."""


ENV: Final[Mapping[str, str]] = {
    **dict.fromkeys(("ETCD_ENDPOINTS", "NATS_SERVER"), "planned from `head`; remove it"),
    **dict.fromkeys(
        ("DYN_NAMESPACE", "DYN_NAMESPACE_PREFIX_STRICT", "DYN_NAMESPACE_WORKER_SUFFIX"), _GENERATION
    ),
    **dict.fromkeys(("DYN_COMPONENT", "DYN_RL_COMPONENT", "DYN_RL_COMPONENTS"), _GENERATION),
    **dict.fromkeys(
        (
            "DYNAMO_MULTINODE_NODE",  # what the processes of a node are found by
            "DYN_FILE_KV",
            "DYN_REQUEST_PLANE_CODEC",
            "DYN_SELF_HOST_METADATA",  # how frontends get tokenizer and configuration
            "ETCD_LEASE_TTL",
        ),
        _PLANNED,
    ),
    **dict.fromkeys(("DYN_DISAGGREGATION_MODE", "DYN_VLLM_MULTIMODAL_DECODE_WORKER"), _PATTERN),
    **dict.fromkeys(("DYN_VLLM_MULTIMODAL_ENCODE_WORKER", "DYN_VLLM_MULTIMODAL_WORKER"), _PATTERN),
    **dict.fromkeys(("DYN_OMNI_ROUTER", "DYN_OMNI_STAGE_ID", "DYN_OMNI_STAGE_CONFIGS_PATH"), _OTHER_WORK),
    "DYN_ADMISSION_CONTROL": _IGNORED,
    "DYN_CHAT_PROCESSOR": "write `dyn-chat-processor` below `roles.frontend.flags`",
    "DYN_DISABLE_FRONTEND_NVEXT": "the proof asks each worker by it; remove it",
    "DYN_ROUTER_WORKER_SELECTION_POLICY": "write `router-mode` below `roles.frontend.flags`",
    "DYN_SNAPSHOT_CONTROL_DIR": "would wait for a snapshot in place of serving; remove it",
    "DYN_USE_KV_EVENTS": "write `router-kv-events` below `roles.frontend.flags`",
    **dict.fromkeys(("DYN_TOPOLOGY_ENABLED", "DYN_TOPOLOGY_MOUNT_PATH"), _KUBERNETES),
    **dict.fromkeys(
        ("DYN_KV_TRANSFER_DOMAIN", "DYN_KV_TRANSFER_ENFORCEMENT", "DYN_KV_TRANSFER_PREFERRED_WEIGHT"),
        _KUBERNETES,
    ),
    "DYN_VLLM_RL_WORLD_SIZE": _PLACED,
    "HF_TOKEN": "use `huggingFaceToken`",
    "HF_TOKEN_PATH": "use `huggingFaceToken`",
    "HUGGING_FACE_HUB_TOKEN": "use `huggingFaceToken`",
    **dict.fromkeys(
        (
            "HF_HOME",
            "HF_HUB_CACHE",
            "HOME",
            "HUGGINGFACE_HUB_CACHE",
            "TRANSFORMERS_CACHE",
            "XDG_CACHE_HOME",
        ),
        _CACHE,
    ),
    **dict.fromkeys(
        (
            "MODEL_EXPRESS_CACHE_DIRECTORY",
            "MODEL_EXPRESS_CACHE_PATH",
            "VLLM_USE_MODELSCOPE",
            "VLLM_MODEL_REDIRECT_PATH",
        ),
        _CACHE,
    ),
    **dict.fromkeys(("PYTHONHOME", "VIRTUAL_ENV"), "the engine runs in an environment of its own; remove it"),
    **dict.fromkeys(
        ("NIXL_PLUGIN_DIR", "NIXL_CONFIG_FILE"), "the locked NIXL comes with its own plugins; remove it"
    ),
    **dict.fromkeys(
        ("NIXL_TELEMETRY_EXPORTER",),
        "its exporter takes port 9090, where the first worker of a node listens; remove it",
    ),
    **dict.fromkeys(
        (
            "CUDA_VISIBLE_DEVICES",
            "GROUP_RANK",
            "HIP_VISIBLE_DEVICES",
            "LOCAL_RANK",
            "LOCAL_WORLD_SIZE",
            "MASTER_ADDR",
            "NVIDIA_VISIBLE_DEVICES",
            "RANK",
            "VLLM_LOOPBACK_IP",
            "VLLM_RPC_BASE_PATH",
            "WORLD_SIZE",
            "ZE_AFFINITY_MASK",
        ),
        _PLACED,
    ),
}
"""Environment name -> what to do instead."""

FREE: Final[Mapping[str, str]] = {
    **dict.fromkeys(
        (
            "DYNAMO_COMPONENT_REGISTRY",
            "ETCD_KEEPALIVE_INTERVAL_SECONDS",
            "ETCD_KEEPALIVE_TIMEOUT_SECONDS",
            "ETCD_STARTUP_CONNECT_TIMEOUT_SECONDS",
            "NATS_STARTUP_CONNECT_TIMEOUT_SECONDS",
        ),
        "how NATS and etcd are waited for and metrics are named: no address, and beside the planned lease",
    ),
    **dict.fromkeys(
        (
            "DYN_HTTP_BACKEND",
            "DYN_HTTP_CONNECT_TIMEOUT",
            "DYN_MM_HTTP_CONNECT_TIMEOUT",
            "DYN_MM_TRUST_EGRESS_PROXY",
        ),
        "of the client that fetches images",
    ),
    **dict.fromkeys(
        (
            "DYN_ENGINE_HEALTH_CHECK_INTERVAL",
            "DYN_ENGINE_HEALTH_CHECK_TIMEOUT",
            "DYN_ENGINE_HEALTH_SHUTDOWN_TIMEOUT",
            "DYN_HEALTH_CHECK_ENABLED",
            "DYN_HEALTH_CHECK_REQUEST_TIMEOUT",
        ),
        "whether and how often idle workers are tried, which is a default",
    ),
    **dict.fromkeys(("HF_ENDPOINT", "HF_HUB_OFFLINE"), "of the hub, where engines look for nothing"),
    **dict.fromkeys(
        (
            "DYN_HTTP_SVC_ANTHROPIC_PATH",
            "DYN_HTTP_SVC_BATCHES_PATH",
            "DYN_HTTP_SVC_CLASSIFY_PATH",
            "DYN_HTTP_SVC_EMB_PATH",
            "DYN_HTTP_SVC_FILES_PATH",
            "DYN_HTTP_SVC_POOLING_PATH",
            "DYN_HTTP_SVC_RERANK_PATH",
            "DYN_HTTP_SVC_RESPONSES_PATH",
            "DYN_HTTP_SVC_SGLANG_GENERATE_PATH",
            "DYN_HTTP_SVC_VLLM_GENERATE_PATH",
        ),
        "where clients ask for what the proof does not ask for",
    ),
    **dict.fromkeys(
        (
            "DYN_HTTP_BACKEND_STREAM_TIMEOUT_SECS",
            "DYN_KV_STATE_AGENT_HOST_DISCOVERY_TIMEOUT_SECS",
            "DYN_TCP_HOST_IDLE_TTL_SECS",
        ),
        "a bound",
    ),
    **dict.fromkeys(
        (
            "DYN_OMNI_CACHE_BACKEND",
            "DYN_OMNI_DIFFUSION_ATTENTION_BACKEND",
            "VLLM_FLASHINFER_ALLREDUCE_BACKEND",
            "VLLM_MEDIA_CONNECTOR",
            "VLLM_MOONCAKE_CONNECTOR_TIMEOUT",
            "VLLM_USE_RAY_V2_EXECUTOR_BACKEND",
            "VLLM_VIDEO_LOADER_BACKEND",
            "VLLM_XLA_CACHE_PATH",
            "VLLM_XPU_INC_WNA16_BACKEND",
        ),
        "what the engine computes with",
    ),
    **dict.fromkeys(
        ("DYN_GRPC_INITIAL_CONNECTION_WINDOW_SIZE", "DYN_GRPC_INITIAL_STREAM_WINDOW_SIZE"),
        "of the gRPC server, which does not run",
    ),
}
"""Names that look like those of the families below, and may be set all the same, with what they are."""

FAMILIES: Final[Mapping[str, str]] = {
    rf"{_OURS}_(.*_)?PORTS?(_.*)?": _PORTS,
    rf"{_OURS}_.*(HOST|HOST_IP|LOCAL_HOSTNAME|ADDR|ADDRESS|ADDRESSES)": _PORTS,
    r"DYN_.*_PLANE|DYN_DISCOVERY_.*|DYN_CONNECTOR": _PLANNED,
    r"(DYN_ZMQ_BROKER|DYN_SIDECAR|DYN_RL)_.*": _ELSEWHERE,
    r"(.*_)?TLS_.*": _TLS,
    r"(ETCD|NATS)_AUTH_.*": _LOGIN,
    r"DYN_SYSTEM_.*|DYN_(.*_)?HEALTH_.*": _HEALTH,
    r"DYN_HTTP_SVC_(CHAT|CMP|HEALTH|LIVE|METRICS|MODELS)_PATH": _HEALTH,
    r"DYN_KUBE_.*|DYN_PARENT_DGD_.*|(POD|KUBERNETES)_.*": _KUBERNETES,
    r"VLLM_(DP|RAY|ELASTIC_EP)_.*": _PLACED,
    r"DYN_VLLM_EMBEDDING_.*": _OTHER_WORK,
}
"""Names that match -> what to do instead, those of later releases among them."""


def routing(flag: str) -> str:
    """Return what to do instead of giving a worker a flag for routing: it would overrule the frontends'."""
    return f"frontends decide where requests go: write `{flag}` below `roles.frontend.flags`"


def refused(name: str) -> str | None:
    """Return what to do instead of setting an environment name; None where it may be set.

    Dynamo reads some names in any case, and so do the clients of proxies.
    """
    upper_name = name.upper()
    if upper_name in ENV:
        return ENV[upper_name]
    if upper_name in FREE:
        return None
    return next((reason for family, reason in FAMILIES.items() if re.fullmatch(family, upper_name)), None)


STACK_KEYS: Final = {
    flag: reason for flag, reason in FLAGS["dynamo.vllm"].items() if reason.startswith("use `")
}
"""Flags of vLLM that a key of the stack file stands for, whatever the engine."""
