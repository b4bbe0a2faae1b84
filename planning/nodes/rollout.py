"""Rollout of a change of a plan to what runs: what each node's manifest says about changing in turn."""

import hashlib
import json
from collections.abc import Mapping

from nodectl.contract.manifest import Rollout, RolloutService
from planning.commands import arguments
from planning.commands.arguments import Command, Site, namespace, served_model
from planning.network import ports
from planning.nodes.runtimes import engine_part
from planning.roles import worker_roles
from planning.values import Plan, PlannedService
from settings.models import Role


def rollouts(site: Site) -> Mapping[str, Rollout]:
    """Return by node how its services change; who knows the stack writes its name in."""
    frontends = arguments.frontend_urls(site.plan, site.addresses)
    revisions = _revisions(site)
    return {
        node.name: Rollout(
            etcd=f"{site.head}:{site.ports.etcd}",
            frontends=frontends,
            model=served_model(site.settings.model),
            namespace=namespace(site.plan),
            max_unavailable=site.settings.rollout.max_unavailable,
            services={
                service.name: RolloutService(
                    role=role, address=_address(site, service), revision=revisions[role]
                )
                for service in site.plan.services_on(node.name)
                if (role := _role(service)) is not None
            },
        )
        for node in site.plan.nodes
    }


def followers(plan: Plan) -> dict[str, list[str]]:
    """Return for each node those that carry the headless ranks of an engine whose rank 0 it has.

    They converge before it: the engine restarts as a whole when its rank 0 does.
    """
    by_node: dict[str, list[str]] = {node.name: [] for node in plan.nodes}
    for engine in plan.engines:
        by_node[engine.ranks[0].node] += [rank.node for rank in engine.ranks[1:]]
    return by_node


def digest(value: object) -> str:
    """Return a short digest of anything that is plain JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


def _role(service: PlannedService) -> Role | None:
    """Return the role whose services stand in for this one; a headless rank is a part of its engine's."""
    if service.engine is not None:
        return service.engine.role if service.rank == 0 else None
    return "frontend" if service.kind == "frontend" else None


def _address(site: Site, service: PlannedService) -> str:
    """Return where a frontend answers, or where a worker is listed."""
    host = site.addresses[service.node]
    if service.engine is None:
        return f"{host}:{ports.frontend(site.ports, site.settings.roles.frontend.replicas)}"
    return f"{host}:{ports.of_slot(site.ports, service.engine.ranks[0].slot).request_plane}"


def _revisions(site: Site) -> Mapping[str, str]:
    """Return by role a digest of how its first service is started: a change of it is the change of all."""
    services: dict[str, PlannedService] = {}
    for service in site.plan.services:
        if service.kind not in ("nats", "etcd", "balancer"):
            services.setdefault(service.kind, service)
    commands = {role: _command(site, service) for role, service in services.items()}
    runtime = engine_part(site.plan.runtime)
    return {
        role: digest([[command.module, command.flags, command.env], runtime])
        for role, command in commands.items()
    }


def _command(site: Site, service: PlannedService) -> Command:
    if service.engine is None:
        return arguments.frontend(site, service)
    return arguments.worker(site, service.engine, 0, dict(worker_roles(site.settings))[service.engine.role])
