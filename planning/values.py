"""The plan as frozen values: nodes, engines and their ranks, services, flows."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final, Literal

from nodectl.contract.runtime import RuntimeSpec
from planning.text import counted
from settings.models import EngineKind, Role, Settings

WorkerRole = Literal["aggregated", "prefill", "decode"]
ServiceKind = Literal["nats", "etcd", "balancer"] | Role
FlowEnd = Literal["client", "node", "head", "frontend", "worker", "prefill", "decode", "rank"]


@dataclass(frozen=True)
class Node:
    """One machine of the plan, not yet an address."""

    name: str
    gpus: int
    head: bool


@dataclass(frozen=True)
class Machine:
    """GPUs of one node."""

    name: str
    gpus: int
    gpu: str = ""
    """Name of one GPU, with its memory, where that is known."""
    gpu_memory: int = 0
    """Bytes of one GPU; 0: not known."""
    efa: int = 0
    """EFA interfaces."""

    def times(self, count: int) -> str:
        """Return `2 x p5.48xlarge (8 x H100 80 GiB, 32 EFA)`, or `2 nodes of 1 GPU`."""
        if self.gpu:
            interfaces = f", {self.efa} EFA" if self.efa else ""
            return f"{count} x {self.name} ({self.gpus} x {self.gpu}{interfaces})"
        return f"{counted(count, self.name)} of {counted(self.gpus, 'GPU')}"


@dataclass(frozen=True)
class Rank:
    """The part of an engine that runs on one node; its GPUs are neighbours."""

    node: str
    gpus: tuple[int, ...]

    @property
    def slot(self) -> int:
        """Return the number that picks its ports (`planning.network.ports.of_slot`)."""
        return self.gpus[0]


@dataclass(frozen=True)
class Engine:
    """One vLLM (or mocker) instance of a role. More than one rank: it spans nodes, its ranks form a gang."""

    role: WorkerRole
    index: int
    ranks: tuple[Rank, ...]

    @property
    def name(self) -> str:
        return self.service(0)

    def service(self, rank: int) -> str:
        """Return the name of the service that is a rank of this engine."""
        return service_name(self.role, self.index, rank)


def service_name(role: str, index: int, rank: int) -> str:
    """Return the name of a worker's service: `decode-0`, and `decode-0-rank-1` for a headless rank of it."""
    return f"{role}-{index}-rank-{rank}" if rank else f"{role}-{index}"


@dataclass(frozen=True)
class PlannedService:
    """One process on one node; names are unique on their node."""

    name: str
    node: str
    kind: ServiceKind
    engine: Engine | None = None
    """The engine of a worker; None for everything else."""
    rank: int = 0


@dataclass(frozen=True, order=True)
class Flow:
    """Connection of a source to a target on TCP ports (first to last), and its reason."""

    source: FlowEnd
    target: FlowEnd
    first: int
    last: int
    why: str
    port: str
    """Kind of the ports, whatever their numbers are: `etcd`, `system`."""
    slot: int | None = field(default=None, compare=False)
    """The slot whose ports they are; None: of a kind that a node has once.

    Numbers tell the slots of a kind apart already.
    """

    @property
    def port_name(self) -> str:
        """Return what the ports are called: `etcd`, `system-4`."""
        return port_name(self.port, self.slot)


def port_name(port: str, slot: int | None) -> str:
    """Return the name of a kind of ports, of one slot where each has its own."""
    return port if slot is None else f"{port}-{slot}"


@dataclass(frozen=True)
class NodeSet:
    """Nodes in the order of their names."""

    names: tuple[str, ...]
    position: Mapping[str, int]
    """Of each name in `names`."""

    @classmethod
    def of(cls, names: Iterable[str]) -> "NodeSet":
        """Return the set of these names."""
        sorted_names = tuple(sorted(names))
        return cls(sorted_names, {name: position for position, name in enumerate(sorted_names)})

    def __contains__(self, name: str) -> bool:
        return name in self.position

    def __len__(self) -> int:
        return len(self.names)


_NO_NODES: Final = NodeSet((), {})


@dataclass(frozen=True)
class Plan:
    """Everything that was decided. Addresses are known later (`planning.manifests`)."""

    settings: Settings
    engine: EngineKind
    runtime: RuntimeSpec
    generation: str
    """Workers of different generations never pair; ordinary flags do not change it."""
    machine: Machine
    """Hardware of each worker node."""
    nodes: tuple[Node, ...]
    engines: tuple[Engine, ...]
    services: tuple[PlannedService, ...]
    flows: tuple[Flow, ...]
    notes: tuple[str, ...]
    """Notes that a user should read before `up`: a role that changes interrupt, for example."""

    @property
    def balanced(self) -> bool:
        """Return whether a balancer stands before several frontends."""
        return self.settings.roles.frontend.replicas > 1

    @cached_property
    def head(self) -> str:
        """Name of the node with NATS, etcd and the first frontend."""
        return next(node.name for node in self.nodes if node.head)

    def node(self, name: str) -> Node:
        """Return the node of that name."""
        return self._nodes_by_name[name]

    def services_on(self, node: str) -> Sequence[PlannedService]:
        """Return the services of one node, in the order in which they are shown."""
        return self._services_by_node.get(node, ())

    def at(self, end: FlowEnd) -> NodeSet:
        """Return the nodes that are meant by the end of a flow; none for clients."""
        return self._nodes_by_end.get(end, _NO_NODES)

    @cached_property
    def _nodes_by_name(self) -> Mapping[str, Node]:
        return {node.name: node for node in self.nodes}

    @cached_property
    def _services_by_node(self) -> Mapping[str, Sequence[PlannedService]]:
        services: dict[str, list[PlannedService]] = {}
        for service in self.services:
            services.setdefault(service.node, []).append(service)
        return services

    @cached_property
    def _nodes_by_end(self) -> Mapping[FlowEnd, NodeSet]:
        nodes: dict[FlowEnd, set[str]] = {"node": set(self._nodes_by_name), "head": {self.head}}
        for service in self.services:
            if service.kind == "frontend":
                nodes.setdefault("frontend", set()).add(service.node)
        for engine in self.engines:
            ends: list[FlowEnd] = ["worker", *(("rank",) if len(engine.ranks) > 1 else ())]
            if engine.role != "aggregated":
                ends.append(engine.role)
            for end in ends:
                nodes.setdefault(end, set()).update(rank.node for rank in engine.ranks)
        return {end: NodeSet.of(names) for end, names in nodes.items()}
