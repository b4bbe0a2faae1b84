"""Which services run on which node, and the manifest of each node."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Final

from nodectl.manifest import Gang, Gate, Manifest, Ready, RuntimeSpec, Service, Stop
from planning import balancer, commands, ports
from planning.commands import Command, Site
from planning.firewall import firewall, managed
from planning.roles import worker_roles
from planning.rollout import digest, rollout
from planning.runtimes import runtime_of
from planning.values import Engine, Node, Plan, PlannedService
from planning.watching import watch
from settings.models import Settings

_STOP_SECONDS: Final = 75
"""Dynamo drains: 5 s of grace, up to 30 s for requests in flight, up to 30 s to clean up."""

START_SECONDS: Final = {"mocker": 60, "cpu": 600, "gpu": 1800}
"""By runtime: a simulated engine, a small model on few cores, 141 GB of weights from disk."""

_STOP_MARGIN: Final = 15
_STORE_SECONDS: Final = 30
_HUB_TOKEN: Final = "HF_TOKEN"  # noqa: S105 - the name of the variable


def planned_services(
    settings: Settings, nodes: Sequence[Node], engines: Sequence[Engine]
) -> Iterator[PlannedService]:
    """Yield NATS, etcd, a frontend and the balancer of several on the head, other frontends, every rank."""
    head = next(node for node in nodes if node.head)
    yield PlannedService("nats", head.name, "nats")
    yield PlannedService("etcd", head.name, "etcd")
    if settings.roles.frontend.replicas > 1:
        yield PlannedService("balancer", head.name, "balancer")
    others = [node for node in nodes if not node.head]
    for node in [head, *others][: settings.roles.frontend.replicas]:
        yield PlannedService("frontend", node.name, "frontend")
    for engine in engines:
        for number, rank in enumerate(engine.ranks):
            name = f"{engine.name}-rank-{number}" if number else engine.name
            yield PlannedService(name, rank.node, engine.role, engine, number)


def installed(plan: Plan, node: str) -> RuntimeSpec:
    """Return what one node must have before its services start."""
    balances = any(service.kind == "balancer" for service in plan.services_on(node))
    programs = [*(["haproxy"] if balances else []), *(["nft"] if managed(plan) else [])]
    found = runtime_of(plan.runtime, next(one for one in plan.nodes if one.name == node))
    return found.model_copy(update={"programs": programs}) if programs else found


def manifests(plan: Plan, addresses: Mapping[str, str]) -> dict[str, Manifest]:
    """Return the manifest of every node, by its name; who knows the machines writes their identities in."""
    site = Site(plan, addresses)
    return {
        node.name: Manifest(
            node=node.name,
            identity="",
            runtime=runtime_of(plan.runtime, node),
            generation=plan.generation,
            services={service.name: _service(site, service) for service in plan.services_on(node.name)},
            firewall=firewall(plan, addresses, node.name),
            rollout=rollout(site, node.name),
            watch=watch(site, node.name),
        )
        for node in plan.nodes
    }


def _service(site: Site, service: PlannedService) -> Service:
    address = site.addresses[service.node]
    if service.engine is not None:
        return _worker(site, service.engine, service.rank)
    if service.kind == "nats":
        return _store(commands.nats(address), f"http://{address}:{ports.NATS_MONITORING}/healthz")
    if service.kind == "etcd":
        return _store(commands.etcd(address), f"http://{address}:{ports.ETCD}/health")
    if service.kind == "balancer":
        return _balancer(site, address)
    return _frontend(commands.frontend(site, service), site, address)


def _store(command: Command, health: str) -> Service:
    return Service(
        module=command.module,
        flags=command.flags,
        env=command.env,
        ready=Ready(http=health, seconds=_STORE_SECONDS),
        stop=Stop(seconds=_STORE_SECONDS),
    )


def _balancer(site: Site, address: str) -> Service:
    command = commands.balancer()
    text = balancer.configuration(
        address, {s.node: site.addresses[s.node] for s in site.plan.services if s.kind == "frontend"}
    )
    return Service(
        module=command.module,
        flags=command.flags,
        env=command.env,
        files={balancer.FILE: text},
        reload="USR2",
        ready=Ready(tcp=f"{address}:{ports.FRONTEND}", seconds=_STORE_SECONDS),
        stop=Stop(seconds=_STORE_SECONDS),
    )


def _frontend(command: Command, site: Site, address: str) -> Service:
    url = f"http://{address}:{command.flags['http-port']}"
    gate = Gate(listen=f"{address}:{ports.GATE}", frontend=url) if site.plan.balanced else None
    return Service(
        module=command.module,
        flags=command.flags,
        env=command.env,
        ready=Ready(http=gate.ready if gate else f"{url}/health", seconds=START_SECONDS["mocker"]),
        stop=_stop(site.settings),
        after=_stores(site),
        gate=gate,
    )


def _worker(site: Site, engine: Engine, number: int) -> Service:
    settings, rank = site.settings, engine.ranks[number]
    command = commands.worker(site, engine, number, dict(worker_roles(settings))[engine.role])
    health = f"http://{site.addresses[rank.node]}:{ports.of_slot(rank.slot).system}/health"
    seconds = START_SECONDS[site.plan.runtime.variant]
    return Service(
        module=command.module,
        flags=command.flags,
        env=command.env,
        secrets=[_HUB_TOKEN] if settings.hugging_face_token and settings.model.source == "hub" else [],
        gpus=list(rank.gpus),
        ready=Ready(process=True, seconds=seconds) if number else Ready(http=health, seconds=seconds),
        stop=_stop(settings),
        after=_stores(site),
        gang=_gang(site, engine, number),
    )


def _gang(site: Site, engine: Engine, number: int) -> Gang | None:
    if len(engine.ranks) == 1:
        return None
    master = commands.rendezvous(site, engine)
    store = f"{site.head}:{ports.ETCD}"
    role = dict(worker_roles(site.settings))[engine.role]
    ranks = [asdict(commands.worker(site, engine, rank, role)) for rank in range(len(engine.ranks))]
    return Gang(
        id=engine.name,
        rank=number,
        size=len(engine.ranks),
        master=master,
        etcd=store,
        revision=digest(ranks),
    )


def _stop(settings: Settings) -> Stop:
    return Stop(seconds=max(_STOP_SECONDS, settings.rollout.drain_seconds + _STOP_MARGIN))


def _stores(site: Site) -> list[str]:
    return [f"{site.head}:{ports.NATS}", f"{site.head}:{ports.ETCD}"]
