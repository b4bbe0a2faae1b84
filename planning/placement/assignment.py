"""Placement of engines: nodes and GPUs of each one.

Another number of replicas should leave every other engine where it is: the last engine of a role is the one
that comes and goes. Where the number of nodes is given, prefill counts from the first node and decode from
the last, so that neither moves when the other grows. Where it is not, decode follows prefill.
"""

import heapq
import math
from collections.abc import Sequence
from dataclasses import dataclass

from planning.values import Engine, Rank, WorkerRole


@dataclass(frozen=True)
class Demand:
    """Demand of a role: so many engines of so many GPUs."""

    role: WorkerRole
    replicas: int
    gpus: int

    def span(self, per_node: int) -> int:
        """Return over how many nodes one engine goes."""
        return math.ceil(self.gpus / per_node)

    def share(self, per_node: int) -> int:
        """Return how many GPUs of each of its nodes one engine takes."""
        return self.gpus // self.span(per_node)

    def nodes(self, per_node: int) -> int:
        """Return on how few nodes all its engines find room."""
        engines_per_node = per_node // self.share(per_node)
        return math.ceil(self.replicas / engines_per_node) * self.span(per_node)


class NoRoomError(Exception):
    """The nodes that there are cannot hold the engines."""


def fits(gpus: int, per_node: int) -> bool:
    """Return whether an engine of so many GPUs fits on a node, or takes the whole of several."""
    return gpus <= per_node or gpus % per_node == 0


def node_names(count: int) -> list[str]:
    """Return the names of so many nodes that nobody named."""
    return [f"node-{number}" for number in range(1, count + 1)]


def place(demands: Sequence[Demand], per_node: int, nodes: Sequence[str] | None) -> tuple[Engine, ...]:
    """Place the engines of each role, on as few nodes as possible, or spread over the `nodes` given.

    Every engine must fit (`fits`). Nodes that were not given are node-1, node-2 and so on. Raises
    `NoRoomError`.
    """
    node_counts = [demand.nodes(per_node) for demand in demands]
    count = len(nodes) if nodes else sum(node_counts)
    names = nodes or node_names(count)
    separate = count >= sum(node_counts)
    free = {name: tuple(range(per_node)) for name in names}
    first_nodes = list(free)[: count - sum(node_counts[1:]) if separate else count]
    engines = _place_role(demands[0], first_nodes, free, per_node, spread=nodes is not None)
    for demand in demands[1:]:
        region = [name for name, gpus in free.items() if len(gpus) == per_node or not separate]
        if nodes is not None:
            region.reverse()
        engines += _place_role(demand, region, free, per_node, spread=nodes is not None, top=not separate)
    return tuple(engines)


def _place_role(
    demand: Demand,
    region: Sequence[str],
    free: dict[str, tuple[int, ...]],
    per_node: int,
    *,
    spread: bool,
    top: bool = False,
) -> list[Engine]:
    """Place one role's engines on the nodes of `region`, in its order, and take their GPUs from `free`."""
    share, span = demand.share(per_node), demand.span(per_node)
    order = {name: position for position, name in enumerate(free)}
    # (engines that are there, place in the region): the next engine goes where both are least
    room = [(0, place) for place, name in enumerate(region) if len(free[name]) >= share]
    engines = []
    for index in range(demand.replicas):
        if len(room) < span:
            raise NoRoomError
        picks = [heapq.heappop(room) for _ in range(span)]
        ranks = []
        for name in sorted((region[place] for _, place in picks), key=order.__getitem__):
            gpus = free[name][-share:] if top else free[name][:share]
            free[name] = tuple(gpu for gpu in free[name] if gpu not in gpus)
            ranks.append(Rank(name, gpus))
        engines.append(Engine(demand.role, index, tuple(ranks)))
        for load, place in picks:
            if len(free[region[place]]) >= share:
                heapq.heappush(room, (load + 1 if spread else 0, place))
    return engines
