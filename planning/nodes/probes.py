"""Connections that each node must be able to make: the plan's flows from its side."""

import itertools
import math
from collections.abc import Mapping, Sequence
from typing import Final

from nodectl.contract.probe import ProbeSpec, ProbeTarget, Transfer
from planning.aws.efa_nvme import BACKEND, uses_libfabric
from planning.commands import arguments
from planning.commands.arguments import Site
from planning.network import ports
from planning.nodes.rollout import digest
from planning.nodes.runtimes import engine_part
from planning.roles import START_SECONDS, worker_roles
from planning.values import Engine, Flow, NodeSet, Plan

PEERS: Final = 32
"""Nodes that each node tries to reach on a port, where it might reach more."""

_SECONDS: Final = 30
"""For firewalls that others change in the same `up`."""


def probe_spec(plan: Plan, addresses: Mapping[str, str], node: str) -> ProbeSpec:
    """Return ports of other nodes that `node` needs, with each reason; of a range its two ends.

    Every port of every node is needed by somebody, and of few nodes all are in it; see `probed`. Where
    engines have EFA, also the workers of `node` that must be seen to use it.
    """
    reasons: dict[tuple[str, int], list[str]] = {}
    for flow in plan.flows:
        for target in _targets(plan, flow, node):
            for port in sorted({flow.first, flow.last}):
                reasons.setdefault((target, port), []).append(flow.why)
    targets = [
        ProbeTarget(
            node=target, endpoint=f"{addresses[target]}:{port}", why="; ".join(dict.fromkeys(target_reasons))
        )
        for (target, port), target_reasons in sorted(reasons.items())
    ]
    site = Site(plan, addresses)
    engines = [service.engine for service in plan.services_on(node) if service.rank == 0]
    transfer_engines = engines if uses_libfabric(plan.settings) else []
    transfers = [_transfer(site, engine) for engine in transfer_engines if engine]
    return ProbeSpec(node=node, targets=targets, seconds=_SECONDS, transfers=transfers)


def _targets(plan: Plan, flow: Flow, node: str) -> Sequence[str]:
    """Return the nodes that `node` tries to reach for a flow: of many ranks those of its own engines."""
    if flow.target == "rank" and len(plan.at("rank")) > PEERS:
        engines = [service.engine for service in plan.services_on(node) if service.engine]
        return sorted({rank.node for engine in engines for rank in engine.ranks} - {node})
    return probed(plan.at(flow.source), plan.at(flow.target), node)


def probed(sources: NodeSet, targets: NodeSet, node: str) -> Sequence[str]:
    """Return the targets that `node` tries to reach: all of few, else a share of them.

    All pairs of nodes would be the square of their number. `PEERS` sources at least have a target in their
    share, or all that there are; a node that is in its own share leaves itself out.
    """
    if node not in sources:
        return ()
    count = max(PEERS, math.ceil(PEERS * len(targets) / len(sources)))
    if count >= len(targets) - 1:
        return [name for name in targets.names if name != node]
    # a window of a ring, from another place for each source; neighbours of the ring are far apart by name
    start = sources.position[node] * len(targets) // len(sources)
    step = next(step for step in itertools.count(len(targets) // 3 + 1) if math.gcd(step, len(targets)) == 1)
    places = ((start + number) * step % len(targets) for number in range(count))
    return sorted({targets.names[place] for place in places} - {node})


def _transfer(site: Site, engine: Engine) -> Transfer:
    command = arguments.worker(site, engine, 0, dict(worker_roles(site.settings))[engine.role])
    first_rank = engine.ranks[0]
    system = f"{site.addresses[first_rank.node]}:{ports.of_slot(site.ports, first_rank.slot).system}"
    return Transfer(
        service=engine.name,
        backend=BACKEND,
        health=f"http://{system}/health",
        seconds=START_SECONDS[site.plan.runtime.variant],
        revision=digest([command.module, command.flags, command.env, engine_part(site.plan.runtime)]),
    )
