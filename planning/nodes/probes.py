"""Connections that each node must be able to make: the plan's flows from its side."""

from collections.abc import Mapping
from typing import Final

from nodectl.contract.probe import ProbeSpec, ProbeTarget, Transfer
from planning.aws.efa_nvme import BACKEND, uses_libfabric
from planning.commands import arguments
from planning.commands.arguments import Site
from planning.network import ports
from planning.nodes.rollout import digest
from planning.nodes.runtimes import engine_part
from planning.roles import START_SECONDS, worker_roles
from planning.values import Engine, Plan

_SECONDS: Final = 30
"""For firewalls that others change in the same `up`."""


def probe_spec(plan: Plan, addresses: Mapping[str, str], node: str) -> ProbeSpec:
    """Return every port of another node that `node` needs, with each reason; of a range its two ends.

    Where engines have EFA, also the workers of `node` that must be seen to use it.
    """
    reasons: dict[tuple[str, int], list[str]] = {}
    for flow in plan.flows:
        if node not in plan.at(flow.source):
            continue
        for target in plan.at(flow.target).names:
            if target == node:
                continue
            for port in sorted({flow.first, flow.last}):
                reasons.setdefault((target, port), []).append(flow.why)
    targets = [
        ProbeTarget(node=target, endpoint=f"{addresses[target]}:{port}", why="; ".join(dict.fromkeys(why)))
        for (target, port), why in sorted(reasons.items())
    ]
    site = Site(plan, addresses)
    leading = [service.engine for service in plan.services_on(node) if service.rank == 0]
    moving = leading if uses_libfabric(plan.settings) else []
    transfers = [_transfer(site, engine) for engine in moving if engine]
    return ProbeSpec(node=node, targets=targets, seconds=_SECONDS, transfers=transfers)


def _transfer(site: Site, engine: Engine) -> Transfer:
    command = arguments.worker(site, engine, 0, dict(worker_roles(site.settings))[engine.role])
    first = engine.ranks[0]
    system = f"{site.addresses[first.node]}:{ports.of_slot(site.ports, first.slot).system}"
    return Transfer(
        service=engine.name,
        backend=BACKEND,
        health=f"http://{system}/health",
        seconds=START_SECONDS[site.plan.runtime.variant],
        revision=digest([command.module, command.flags, command.env, engine_part(site.plan.runtime)]),
    )
