"""The plan as frozen values: nodes, engines and their ranks, services, flows."""

from dataclasses import dataclass
from typing import Literal

from nodectl.manifest import RuntimeSpec
from settings.models import EngineKind, Pattern, Role

WorkerRole = Literal["aggregated", "prefill", "decode"]
FlowEnd = Literal["client", "node", "head", "frontend", "worker", "prefill", "decode", "rank"]


@dataclass(frozen=True)
class Node:
    """One machine of the plan, not yet an address."""

    name: str
    gpus: int
    head: bool


@dataclass(frozen=True)
class Rank:
    """The part of an engine that runs on one node; `slot` picks its ports, `gpus` its devices."""

    node: str
    gpus: tuple[int, ...]
    slot: int


@dataclass(frozen=True)
class Engine:
    """One vLLM (or mocker) instance of a role. More than one rank: it spans nodes, and its ranks form a gang."""

    role: WorkerRole
    index: int
    ranks: tuple[Rank, ...]

    @property
    def name(self) -> str:
        return f"{self.role}-{self.index}"


@dataclass(frozen=True)
class PlannedService:
    """One process on one node. `role` is None for NATS, etcd and a balancer."""

    name: str
    node: str
    role: Role | None
    engine: str | None = None
    rank: int = 0


@dataclass(frozen=True, order=True)
class Flow:
    """Who connects to whom on which TCP ports (first to last), and why."""

    source: FlowEnd
    target: FlowEnd
    first: int
    last: int
    why: str


@dataclass(frozen=True)
class Plan:
    """Everything that was decided. Addresses are known later (`planning.manifests`)."""

    pattern: Pattern
    engine: EngineKind
    served_model: str
    runtime: RuntimeSpec
    nodes: tuple[Node, ...]
    engines: tuple[Engine, ...]
    services: tuple[PlannedService, ...]
    flows: tuple[Flow, ...]
    notes: tuple[str, ...]
    """What a user should know before `up`: a role that is interrupted by changes, for example."""
