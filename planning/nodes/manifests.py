"""Services of each node, and the manifest of each node."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Final

from nodectl.contract.manifest import Gang, Gate, Manifest, Ready, Service, Stop
from nodectl.contract.runtime import RequiredProgram, RuntimeSpec
from planning.commands import arguments
from planning.commands.arguments import Command, Site
from planning.network import balancer, ports
from planning.network.firewall import firewalls, managed
from planning.network.listeners import listeners
from planning.nodes.idle_stop import watch
from planning.nodes.rollout import digest, rollouts
from planning.nodes.runtimes import runtime_of
from planning.roles import START_SECONDS, worker_roles
from planning.values import Engine, Node, Plan, PlannedService
from settings.models import Settings

_STOP_SECONDS: Final = 75
"""Dynamo drains: 5 s of grace, up to 30 s for requests in flight, up to 30 s to clean up."""

_STOP_MARGIN: Final = 15
_STORE_SECONDS: Final = 30
_HUB_TOKEN: Final = "HF_TOKEN"  # noqa: S105 - the name of the variable
_TRUE_TO_THE_HUB: Final = ("1", "ON", "YES", "TRUE")
"""Values of an environment variable that huggingface_hub takes for true, in capitals."""


def planned_services(
    settings: Settings, nodes: Sequence[Node], engines: Sequence[Engine]
) -> Iterator[PlannedService]:
    """Yield NATS, etcd, a frontend and the balancer of several on the head, other frontends, every rank."""
    head = next(node for node in nodes if node.head)
    yield PlannedService("nats", head.name, "nats")
    yield PlannedService("etcd", head.name, "etcd")
    if settings.roles.frontend.replicas > 1:
        yield PlannedService("balancer", head.name, "balancer")
    other_nodes = [node for node in nodes if not node.head]
    for node in [head, *other_nodes][: settings.roles.frontend.replicas]:
        yield PlannedService("frontend", node.name, "frontend")
    for engine in engines:
        for number, rank in enumerate(engine.ranks):
            yield PlannedService(engine.service(number), rank.node, engine.role, engine, number)


def installed(plan: Plan, node: str) -> RuntimeSpec:
    """Return what one node must have before its services start."""
    has_balancer = any(service.kind == "balancer" for service in plan.services_on(node))
    programs: list[RequiredProgram] = ["haproxy"] if has_balancer else []
    programs += ["nft"] if managed(plan) else []
    return replace(runtime_of(plan, plan.node(node)), programs=programs)


def manifests(plan: Plan, addresses: Mapping[str, str]) -> dict[str, Manifest]:
    """Return the manifest of every node, by its name; who knows the machines writes their identities in."""
    site = Site(plan, addresses)
    node_firewalls, node_rollouts, gang_revisions = (
        firewalls(plan, addresses),
        rollouts(site),
        _gang_revisions(site),
    )
    return {
        node.name: Manifest(
            node=node.name,
            identity="",
            runtime=runtime_of(plan, node),
            generation=plan.generation,
            services={
                service.name: replace(
                    _service(site, service, gang_revisions), listens=listeners(plan, service, addresses)
                )
                for service in plan.services_on(node.name)
            },
            firewall=node_firewalls.get(node.name),
            rollout=node_rollouts[node.name],
            watch=watch(site, node.name),
        )
        for node in plan.nodes
    }


def _service(site: Site, service: PlannedService, gang_revisions: Mapping[str, str]) -> Service:
    address = site.addresses[service.node]
    if service.engine is not None:
        return _worker(site, service.engine, service.rank, gang_revisions)
    if service.kind == "nats":
        return _store(
            arguments.nats(address, site.ports), f"http://{address}:{site.ports.nats_monitoring}/healthz"
        )
    if service.kind == "etcd":
        return _store(arguments.etcd(address, site.ports), f"http://{address}:{site.ports.etcd}/health")
    if service.kind == "balancer":
        return _balancer(site, address)
    return _frontend(arguments.frontend(site, service), site, address)


def _store(command: Command, health: str) -> Service:
    return Service(
        module=command.module,
        flags=command.flags,
        env=command.env,
        ready=Ready(http=health, seconds=_STORE_SECONDS),
        stop=Stop(seconds=_STORE_SECONDS),
    )


def _balancer(site: Site, address: str) -> Service:
    command = arguments.balancer()
    text = balancer.configuration(
        address,
        {
            service.node: site.addresses[service.node]
            for service in site.plan.services
            if service.kind == "frontend"
        },
        site.ports,
    )
    return Service(
        module=command.module,
        flags=command.flags,
        env=command.env,
        files={balancer.FILE: text},
        reload="USR2",
        ready=Ready(tcp=f"{address}:{site.ports.frontend}", seconds=_STORE_SECONDS),
        stop=Stop(seconds=_STORE_SECONDS),
    )


def _frontend(command: Command, site: Site, address: str) -> Service:
    url = f"http://{address}:{command.flags['http-port']}"
    gate = Gate(listen=f"{address}:{site.ports.gate}", frontend=url) if site.plan.balanced else None
    return Service(
        module=command.module,
        flags=command.flags,
        env=command.env,
        ready=Ready(http=gate.ready if gate else f"{url}/health", seconds=START_SECONDS["mocker"]),
        stop=_stop(site.settings),
        after=_stores(site),
        gate=gate,
    )


def _worker(site: Site, engine: Engine, number: int, gang_revisions: Mapping[str, str]) -> Service:
    settings, rank = site.settings, engine.ranks[number]
    command = arguments.worker(site, engine, number, dict(worker_roles(settings))[engine.role])
    health = f"http://{site.addresses[rank.node]}:{ports.of_slot(site.ports, rank.slot).system}/health"
    seconds = START_SECONDS[site.plan.runtime.variant]
    return Service(
        module=command.module,
        flags=command.flags,
        env=command.env,
        secrets=[_HUB_TOKEN] if _asks_the_hub(settings, command) else [],
        gpus=list(rank.gpus),
        ready=Ready(process=True, seconds=seconds) if number else Ready(http=health, seconds=seconds),
        stop=_stop(settings),
        after=_stores(site),
        gang=_gang(site, engine, number, gang_revisions[engine.name]) if len(engine.ranks) > 1 else None,
    )


def _asks_the_hub(settings: Settings, command: Command) -> bool:
    """Return whether a worker may need the token: not one that does without the hub, as is the default."""
    offline = command.env.get("HF_HUB_OFFLINE") or command.env.get("TRANSFORMERS_OFFLINE") or ""
    online = offline.upper() not in _TRUE_TO_THE_HUB
    return online and settings.hugging_face_token is not None and settings.model.source == "hub"


def _gang(site: Site, engine: Engine, number: int, revision: str) -> Gang:
    return Gang(
        id=engine.name,
        rank=number,
        size=len(engine.ranks),
        master=arguments.rendezvous(site, engine),
        etcd=f"{site.head}:{site.ports.etcd}",
        revision=revision,
    )


def _gang_revisions(site: Site) -> Mapping[str, str]:
    """Return for each engine that spans nodes a digest of how every rank is started."""
    roles = dict(worker_roles(site.settings))
    commands = {
        engine.name: [
            asdict(arguments.worker(site, engine, rank, roles[engine.role]))
            for rank in range(len(engine.ranks))
        ]
        for engine in site.plan.engines
        if len(engine.ranks) > 1
    }
    return {name: digest(ranks) for name, ranks in commands.items()}


def _stop(settings: Settings) -> Stop:
    return Stop(seconds=max(_STOP_SECONDS, settings.rollout.drain_seconds + _STOP_MARGIN))


def _stores(site: Site) -> list[str]:
    return [f"{site.head}:{site.ports.nats}", f"{site.head}:{site.ports.etcd}"]
