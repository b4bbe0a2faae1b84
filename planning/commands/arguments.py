"""Every flag and environment name that a deployment sets on NATS, etcd, Dynamo and vLLM.

A command is made of three layers, later ones win: defaults that a stack file may change, what the stack file
says for the role, and what planning owns (`planning.commands.reserved` refuses a stack file that sets it).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from nodectl.contract.manifest import FlagValue
from nodectl.contract.tokens import literal
from planning.aws.efa_nvme import BACKEND, efa_environment, uses_libfabric
from planning.commands import flags as known_flags
from planning.network import ports
from planning.values import Engine, Plan, PlannedService, Rank
from settings.models import EngineKind, FrontendSettings, ModelSettings, RoleSettings, Settings
from settings.ports import PortSettings

DOWNLOADED: Final = "${model}"
"""The folder of the model from the hub, on the node."""

Flags = dict[str, FlagValue]
Env = dict[str, str]

FRONTEND: Final = "dynamo.frontend"
WORKER: Final[Mapping[EngineKind, str]] = {"vllm": "dynamo.vllm", "mocker": "dynamo.mocker"}
STANDIN: Final = "nodectl.services.rank_standin"

NAMESPACE: Final = "dynamo"
LEASE_SECONDS: Final = 120
"""Seconds that etcd may be away before workers leave: shorter leases ran out under CPU load alone."""

DEFAULT_FLAGS: Final[Mapping[str, Flags]] = {
    # A worker that dies takes no request with it: the frontend carries on elsewhere, this often.
    FRONTEND: {"router-mode": "kv", "migration-limit": 3},
    "dynamo.vllm": {},
    # Small blocks, so that short prompts hit the cache, too.
    "dynamo.mocker": {"speedup-ratio": 10, "block-size": 16},
}
DEFAULT_ENV: Final[Env] = {
    "HF_HUB_OFFLINE": "1",  # the model is on the node before anything starts
    "DYN_SDK_DISABLE_ANSI_LOGGING": "1",
    # A host without power refuses nothing: until these seconds are over, requests queue up for it one behind
    # another, and those that wait too long fail in place of going to another worker (Dynamo: 3 and 10).
    "DYN_TCP_CONNECT_TIMEOUT": "1",
    "DYN_TCP_REQUEST_TIMEOUT": "5",
}
DEFAULT_FRONTEND_ENV: Final[Env] = {
    # A worker that holds a request and says nothing more is given up, and another one is asked. Longer than
    # any prompt waits for its first token; Dynamo itself waits without end.
    "DYN_HTTP_BACKEND_STREAM_TIMEOUT_SECS": "600",
    # One line a request in place of five: the answer's status and time. journald drops lines of the busy.
    "DYN_LOG": "info,dynamo_llm::http::service::metrics=warn,dynamo_kv_router::scheduling::selector=warn,"
    "request_span=warn",
}
DEFAULT_WORKER_ENV: Final[Env] = {
    # An idle worker is asked for a token now and then: one whose engine hangs is no longer healthy.
    "DYN_HEALTH_CHECK_ENABLED": "true",
    # No line a request: frontends have them, and metrics count them.
    "DYN_LOG": "info,dynamo_runtime::pipeline::network::ingress::push_handler=warn",
    "DYN_CANARY_WAIT_TIME": "5",  # a start waits as long for its first trial
    "DYN_HEALTH_CHECK_REQUEST_TIMEOUT": "30",
}
DEFAULT_CPU_ENV: Final[Env] = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # engines share the cores
    "OMP_NUM_THREADS": "1",
    "TORCH_COMPILE_DISABLE": "1",  # vLLM's sampler would need a C++ compiler on every node
}

DEFAULT_VLLM_ENV: Final[Env] = {
    "GLOO_SOCKET_IFNAME": "${interface}",
    "NCCL_SOCKET_IFNAME": "=${interface}",  # without = NCCL takes bond0.2973 for bond0, too
}
"""Gloo and NCCL otherwise pick an interface themselves, and meet nobody where a node has several."""

DEFAULT_UCX_ENV: Final[Env] = {"UCX_NET_DEVICES": "${interface-without-rdma}"}
"""UCX otherwise takes the fastest interface, whoever is to be reached there."""

DEFAULT_SPANNING_FLAGS: Final[Flags] = {"disable-custom-all-reduce": True}
"""Of vLLM engines over several nodes: with their own all-reduce some hang while they start."""

PAIRING_FLAGS: Final = ("attention-backend", "dtype", "hf-overrides", "kv-cache-dtype", "quantization")
"""vLLM flags that decide what NIXL compares before it moves KV blocks from one worker to another."""


@dataclass(frozen=True)
class Command:
    """The command of a service, before quoting: module or program, flags, environment."""

    module: str
    flags: Flags
    env: Env


@dataclass(frozen=True)
class Site:
    """A plan whose nodes have addresses."""

    plan: Plan
    addresses: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        return self.plan.settings

    @property
    def ports(self) -> PortSettings:
        return self.plan.settings.ports

    @property
    def head(self) -> str:
        return self.addresses[self.plan.head]

    @property
    def local(self) -> bool:
        return self.settings.target.on_this_machine


def served_model(model: ModelSettings) -> str:
    """Return the model's name in requests."""
    return model.served_name or model.name


def router_mode(settings: Settings) -> str:
    """Return how the frontend picks workers."""
    return str(_flags(FRONTEND, settings.roles.frontend, {})["router-mode"])


def namespace(plan: Plan) -> str:
    """Return the Dynamo namespace that the plan's workers register under."""
    return f"{NAMESPACE}-{plan.generation}"


def frontend_urls(plan: Plan, addresses: Mapping[str, str]) -> list[str]:
    """Return the base URL of every frontend."""
    nodes = [service.node for service in plan.services if service.kind == "frontend"]
    port = ports.frontend(plan.settings.ports, len(nodes))
    return [f"http://{addresses[node]}:{port}" for node in nodes]


def endpoint(plan: Plan, addresses: Mapping[str, str]) -> str:
    """Return the base URL that users are given: the balancer's, or the only frontend's."""
    return f"http://{addresses[plan.head]}:{plan.settings.ports.frontend}"


def balancer() -> Command:
    """Return the command of HAProxy: its master replaces its worker when the configuration changes."""
    return Command("haproxy", {"W": True, "f": "${data}/balancer/haproxy.cfg"}, {})


def nats(address: str, numbers: PortSettings) -> Command:
    """Return the command of NATS with JetStream, its data on disk."""
    return Command(
        "nats-server",
        {
            "jetstream": True,
            "addr": address,
            "port": numbers.nats,
            "http_port": numbers.nats_monitoring,
            "store_dir": "${data}/nats",
        },
        {},
    )


def etcd(address: str, numbers: PortSettings) -> Command:
    """Return the command of a single etcd. Its data outlive it: without them all starts anew to register."""
    clients, peers = f"http://{address}:{numbers.etcd}", f"http://{address}:{numbers.etcd_peer}"
    return Command(
        "etcd",
        {
            "name": "head",
            "data-dir": "${data}/etcd",
            "listen-client-urls": clients,
            "advertise-client-urls": clients,
            "listen-peer-urls": peers,
            "initial-advertise-peer-urls": peers,
            "initial-cluster": f"head={peers}",
            "log-level": "warn",
            # without, every change of a key is kept until the file is full and etcd refuses to write
            "auto-compaction-mode": "periodic",
            "auto-compaction-retention": "1h",
            "quota-backend-bytes": 4 * 1024**3,
        },
        {},
    )


def frontend(site: Site, service: PlannedService) -> Command:
    """Return the command of the HTTP server and router."""
    address, role = site.addresses[service.node], site.settings.roles.frontend
    planned_flags: Flags = {
        "http-host": address,
        "http-port": ports.frontend(site.ports, role.replicas),
        "namespace-prefix": NAMESPACE,
    }
    if role.replicas > 1:
        planned_flags["router-replica-sync"] = True
    env = {
        **_dynamo_env(site, address),
        "DYN_TCP_RESPONSE_STREAM_PORT": str(site.ports.frontend_response_stream),
    }
    return Command(
        FRONTEND, _flags(FRONTEND, role, planned_flags), DEFAULT_ENV | DEFAULT_FRONTEND_ENV | role.env | env
    )


def worker(site: Site, engine: Engine, rank: int, role: RoleSettings) -> Command:
    """Return the command of one rank of an engine."""
    module = WORKER[site.plan.engine]
    if module == "dynamo.vllm":
        flags = _vllm_flags(site, engine, rank, role)
    elif rank == 0:
        flags = _mocker_flags(site, engine)
    else:
        return Command(STANDIN, {"connect": rendezvous(site, engine)}, {})
    env = _worker_defaults(site, engine) | role.env | _worker_env(site, engine, rank)
    return Command(module, _spanning_defaults(module, engine) | _flags(module, role, flags), env)


def rendezvous(site: Site, engine: Engine) -> str:
    """Return where the ranks of an engine find its rank 0, as `host:port`."""
    address, port = _rendezvous(site, engine)
    return f"{address}:{port}"


def _rendezvous(site: Site, engine: Engine) -> tuple[str, int]:
    """Return address and port of an engine's rank 0.

    The mocker has no rendezvous: what its stand-in ranks hold on to is its system port.
    """
    first_rank = engine.ranks[0]
    address, slot = site.addresses[first_rank.node], ports.of_slot(site.ports, first_rank.slot)
    if site.plan.engine == "mocker":
        return address, slot.system
    return address, ports.local_master(address) if site.local else slot.master


def _flags(module: str, role: RoleSettings | FrontendSettings, planned_flags: Flags) -> Flags:
    return dict(DEFAULT_FLAGS[module]) | known_flags.as_written(module, role.flags) | planned_flags


def _spanning_defaults(module: str, engine: Engine) -> Flags:
    return dict(DEFAULT_SPANNING_FLAGS) if module == "dynamo.vllm" and len(engine.ranks) > 1 else {}


def _dynamo_env(site: Site, address: str) -> Env:
    return {
        "NATS_SERVER": f"nats://{site.head}:{site.ports.nats}",
        "ETCD_ENDPOINTS": f"{site.head}:{site.ports.etcd}",
        "ETCD_LEASE_TTL": str(LEASE_SECONDS),
        "DYN_NAMESPACE": NAMESPACE,
        "DYN_EVENT_PLANE": "nats",  # unset, Dynamo 1.6 waits for NATS and then uses zmq on random ports
        "DYN_EVENT_PLANE_HOST": address,
        "DYN_SYSTEM_HOST": address,
        "DYN_TCP_RPC_HOST": address,
        "DYN_TCP_RESPONSE_STREAM_HOST": address,
    }


def _worker_defaults(site: Site, engine: Engine) -> Env:
    cpu = DEFAULT_CPU_ENV if site.plan.runtime.variant == "cpu" else {}
    vllm = DEFAULT_VLLM_ENV if site.plan.engine == "vllm" else {}
    uses_ucx = vllm and engine.role != "aggregated" and not uses_libfabric(site.settings)
    ucx = DEFAULT_UCX_ENV if uses_ucx else {}
    return DEFAULT_ENV | DEFAULT_WORKER_ENV | cpu | vllm | ucx | dict(efa_environment(site.settings))


def _worker_env(site: Site, engine: Engine, rank: int) -> Env:
    part = engine.ranks[rank]
    address, slot = site.addresses[part.node], ports.of_slot(site.ports, part.slot)
    env = _dynamo_env(site, address) | {
        "DYN_NAMESPACE_WORKER_SUFFIX": site.plan.generation,
        "DYN_SYSTEM_PORT": str(slot.system),
        "DYN_TCP_RPC_PORT": str(slot.request_plane),
        "DYN_TCP_RESPONSE_STREAM_PORT": str(slot.response_stream),
    }
    if site.plan.engine == "mocker":
        # without it a mocker is never healthy
        return env | {"DYN_SYSTEM_USE_ENDPOINT_HEALTH_STATUS": '["generate"]'}
    env["VLLM_HOST_IP"] = address
    if engine.role != "aggregated":
        env["VLLM_NIXL_SIDE_CHANNEL_HOST"] = address  # vLLM's default is localhost
        env["VLLM_NIXL_SIDE_CHANNEL_PORT"] = str(slot.nixl)
    return env


def _model(model: ModelSettings) -> str:
    """Return what the modules are given as the model: its folder on the node, whatever it comes from.

    Of a hub id each would look for the files itself, and not all of them do so in one revision.
    """
    if model.source == "generated":
        return f"${{models}}/{model.name}"
    if model.uri:
        return model.uri.replace("s3://", "${s3}/", 1)
    return model.path or DOWNLOADED


def _is_gguf(model: ModelSettings) -> bool:
    """Return whether vLLM looks up weights by `id:quantisation`, which no folder can stand for."""
    return model.source == "hub" and ":" in model.name


def _mocker_flags(site: Site, engine: Engine) -> Flags:
    model = site.settings.model
    flags: Flags = {"model-path": _model(model), "model-name": literal(served_model(model))}
    return flags | _disaggregation(engine)


def _vllm_flags(site: Site, engine: Engine, rank: int, role: RoleSettings) -> Flags:
    model = site.settings.model
    path = literal(model.name) if _is_gguf(model) else _model(model)
    flags: Flags = {
        "model": path,
        "tensor-parallel-size": role.parallelism.tensor,
        **_disaggregation(engine),
    }
    if served_model(model) != path:
        flags["served-model-name"] = literal(served_model(model))
    if model.revision and _is_gguf(model):
        flags["revision"] = literal(model.revision)
    if role.parallelism.pipeline > 1:
        flags["pipeline-parallel-size"] = role.parallelism.pipeline
    if engine.role != "aggregated":
        flags["kv-transfer-config"] = _kv_transfer(site, engine)
    if rank == 0 and engine.role != "decode" and router_mode(site.settings) == "kv":
        flags["kv-events-config"] = _kv_events(site, engine.ranks[0])
    return flags | _spanning(site, engine, rank)


def _disaggregation(engine: Engine) -> Flags:
    """Return the flag without which a worker silently does both phases."""
    return {} if engine.role == "aggregated" else {"disaggregation-mode": engine.role}


def _kv_transfer(site: Site, engine: Engine) -> dict[str, JsonValue]:
    config: dict[str, JsonValue] = {
        "kv_connector": "NixlConnector",
        "kv_role": "kv_producer" if engine.role == "prefill" else "kv_consumer",
    }
    if site.plan.runtime.variant == "cpu":
        config["kv_buffer_device"] = "cpu"
    if uses_libfabric(site.settings):
        config["kv_connector_extra_config"] = {"backends": [BACKEND]}
    return config


def _kv_events(site: Site, rank: Rank) -> dict[str, JsonValue]:
    """Return how a worker tells its own Dynamo process which blocks it holds; `--router-mode kv` needs that.

    An abstract socket, since it never leaves the node and vLLM binds a TCP endpoint only on all addresses.
    """
    return {
        "publisher": "zmq",
        "endpoint": f"ipc://@dynamo-kv-{site.addresses[rank.node]}-{rank.slot}",
        "enable_kv_cache_events": True,
    }


def _spanning(site: Site, engine: Engine, rank: int) -> Flags:
    """Return the flags of an engine that goes over several nodes."""
    if len(engine.ranks) == 1:
        return {}
    host, port = _rendezvous(site, engine)
    flags: Flags = {
        "nnodes": len(engine.ranks),
        "node-rank": rank,
        "master-addr": host,
        "master-port": port,
        "distributed-executor-backend": "mp",
    }
    return flags | ({"headless": True} if rank else {})
