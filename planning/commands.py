"""Every flag and environment name that a deployment sets on NATS, etcd, Dynamo and vLLM.

A command is made of three layers, later ones win: defaults that a stack file may change, what the stack file
says for the role, and what planning owns (`planning.owned` refuses a stack file that sets it).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from pydantic import JsonValue

from nodectl.manifest import FlagValue
from planning import ports
from planning.fabric import BACKEND, efa_environment, uses_libfabric
from planning.values import Engine, Plan, PlannedService, Rank
from settings.models import EngineKind, FrontendSettings, ModelSettings, RoleSettings, Settings

Flags = dict[str, FlagValue]
Env = dict[str, str]

FRONTEND: Final = "dynamo.frontend"
WORKER: Final[Mapping[EngineKind, str]] = {"vllm": "dynamo.vllm", "mocker": "dynamo.mocker"}
STANDIN: Final = "nodectl.rank_standin"

NAMESPACE: Final = "dynamo"
LEASE_SECONDS: Final = 120
"""How long etcd may be away before workers leave: shorter leases ran out under CPU load alone."""

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
DEFAULT_CPU_ENV: Final[Env] = {
    "VLLM_CPU_KVCACHE_SPACE": "1",  # GiB
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",  # engines share the cores
    "OMP_NUM_THREADS": "1",
    "TORCH_COMPILE_DISABLE": "1",  # vLLM's sampler would need a C++ compiler on every node
}

DEFAULT_VLLM_ENV: Final[Env] = {"GLOO_SOCKET_IFNAME": "${interface}", "NCCL_SOCKET_IFNAME": "${interface}"}
"""Gloo and NCCL otherwise pick an interface themselves, and meet nobody where a node has several."""

PAIRING_FLAGS: Final = ("attention-backend", "dtype", "hf-overrides", "kv-cache-dtype", "quantization")
"""vLLM flags that decide what NIXL compares before it moves KV blocks from one worker to another."""


@dataclass(frozen=True)
class Command:
    """What runs, before quoting: module or program, flags, environment."""

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
    def head(self) -> str:
        return self.addresses[self.plan.head]

    @property
    def local(self) -> bool:
        return self.settings.target.kind == "local"


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
    return [f"http://{addresses[node]}:{ports.frontend(len(nodes))}" for node in nodes]


def endpoint(plan: Plan, addresses: Mapping[str, str]) -> str:
    """Return the base URL that users are given: the balancer's, or the only frontend's."""
    return f"http://{addresses[plan.head]}:{ports.FRONTEND}"


def balancer() -> Command:
    """Return the command of HAProxy: its master replaces its worker when the configuration changes."""
    return Command("haproxy", {"W": True, "f": "${data}/balancer/haproxy.cfg"}, {})


def nats(address: str) -> Command:
    """Return the command of NATS with JetStream, its data on disk."""
    return Command(
        "nats-server",
        {
            "jetstream": True,
            "addr": address,
            "port": ports.NATS,
            "http_port": ports.NATS_MONITORING,
            "store_dir": "${data}/nats",
        },
        {},
    )


def etcd(address: str) -> Command:
    """Return the command of a single etcd. Its data outlive it: without them all starts anew to register."""
    clients, peers = f"http://{address}:{ports.ETCD}", f"http://{address}:{ports.ETCD_PEER}"
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
        },
        {},
    )


def frontend(site: Site, service: PlannedService) -> Command:
    """Return the command of the HTTP server and router."""
    address, role = site.addresses[service.node], site.settings.roles.frontend
    owned: Flags = {
        "http-host": address,
        "http-port": ports.frontend(role.replicas),
        "namespace-prefix": NAMESPACE,
    }
    if role.replicas > 1:
        owned["router-replica-sync"] = True
    env = {
        **_dynamo_env(site, address),
        "DYN_TCP_RESPONSE_STREAM_PORT": str(ports.FRONTEND_RESPONSE_STREAM),
    }
    return Command(FRONTEND, _flags(FRONTEND, role, owned), DEFAULT_ENV | role.env | env)


def worker(site: Site, engine: Engine, rank: int, role: RoleSettings) -> Command:
    """Return the command of one rank of an engine."""
    module = WORKER[site.plan.engine]
    if module == "dynamo.vllm":
        flags = _vllm_flags(site, engine, rank, role)
    elif rank == 0:
        flags = _mocker_flags(site, engine)
    else:
        return Command(STANDIN, {"connect": rendezvous(site, engine)}, {})
    env = _worker_defaults(site) | role.env | _worker_env(site, engine, rank)
    return Command(module, _flags(module, role, flags), env)


def rendezvous(site: Site, engine: Engine) -> str:
    """Return where the ranks of an engine find its rank 0, as `host:port`.

    The mocker has no rendezvous: what its stand-in ranks hold on to is its system port.
    """
    first = engine.ranks[0]
    address, slot = site.addresses[first.node], ports.of_slot(first.slot)
    if site.plan.engine == "mocker":
        return f"{address}:{slot.system}"
    return f"{address}:{ports.local_master(address) if site.local else slot.master}"


def _flags(module: str, role: RoleSettings | FrontendSettings, owned: Flags) -> Flags:
    return dict(DEFAULT_FLAGS[module]) | role.flags | owned


def _dynamo_env(site: Site, address: str) -> Env:
    return {
        "NATS_SERVER": f"nats://{site.head}:{ports.NATS}",
        "ETCD_ENDPOINTS": f"{site.head}:{ports.ETCD}",
        "ETCD_LEASE_TTL": str(LEASE_SECONDS),
        "DYN_NAMESPACE": NAMESPACE,
        "DYN_EVENT_PLANE": "nats",  # unset, Dynamo 1.6 waits for NATS and then uses zmq on random ports
        "DYN_EVENT_PLANE_HOST": address,
        "DYN_SYSTEM_HOST": address,
        "DYN_TCP_RPC_HOST": address,
        "DYN_TCP_RESPONSE_STREAM_HOST": address,
    }


def _worker_defaults(site: Site) -> Env:
    cpu = DEFAULT_CPU_ENV if site.plan.runtime.variant == "cpu" else {}
    vllm = DEFAULT_VLLM_ENV if site.plan.engine == "vllm" else {}
    return DEFAULT_ENV | cpu | vllm | dict(efa_environment(site.settings))


def _worker_env(site: Site, engine: Engine, rank: int) -> Env:
    part = engine.ranks[rank]
    address, slot = site.addresses[part.node], ports.of_slot(part.slot)
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
    """Return what the modules are given as the model: a hub id, or its folder on the node."""
    if model.source == "generated":
        return f"${{models}}/{model.name}"
    if model.uri:
        return model.uri.replace("s3://", "${s3}/", 1)
    return model.path or model.name


def _mocker_flags(site: Site, engine: Engine) -> Flags:
    model = site.settings.model
    flags: Flags = {"model-path": _model(model), "model-name": served_model(model)}
    return flags | _disaggregation(engine)


def _vllm_flags(site: Site, engine: Engine, rank: int, role: RoleSettings) -> Flags:
    model = site.settings.model
    flags: Flags = {
        "model": _model(model),
        "tensor-parallel-size": role.parallelism.tensor,
        **_disaggregation(engine),
    }
    if served_model(model) != _model(model):
        flags["served-model-name"] = served_model(model)
    if model.revision:
        flags["revision"] = model.revision
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
    host, port = rendezvous(site, engine).split(":")
    flags: Flags = {
        "nnodes": len(engine.ranks),
        "node-rank": rank,
        "master-addr": host,
        "master-port": int(port),
        "distributed-executor-backend": "mp",
    }
    return flags | ({"headless": True} if rank else {})
