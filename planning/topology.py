"""The stack output `topology`, and what changes from one to the next."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final

from nodectl.manifest import MACHINE_PROGRAMS, RuntimeSpec, Service
from planning.rollout import digest
from planning.services import manifests
from planning.values import Engine, Plan

Topology = Mapping[str, Any]
"""`{nodes: [{name, address, gpus, services: {NAME: {PART: DIGEST}}}], engines, flows}`, plain JSON."""

_Services = dict[tuple[str, str], Mapping[str, str]]
"""(node, service) -> digests of what it was started with."""

_WORDS: Final = {"env": "environment", "stop": "stop time"}
"""Digests whose names would not tell a reader what changed."""


def topology(plan: Plan, addresses: Mapping[str, str]) -> dict[str, Any]:
    """Return who runs where, with digests that tell what the next change restarts."""
    rendered = manifests(plan, addresses)
    return {
        "nodes": [
            {
                "name": node.name,
                "address": addresses[node.name],
                "gpus": node.gpus,
                "services": {
                    name: _digests(service, plan.runtime)
                    for name, service in rendered[node.name].services.items()
                },
            }
            for node in plan.nodes
        ],
        "engines": [_engine(engine) for engine in plan.engines],
        "flows": [asdict(flow) for flow in plan.flows],
    }


def restarts(before: Topology | None, after: Topology) -> list[str]:
    """Return one line a service that starts, stops or restarts, and one for each role that is interrupted.

    Nothing when the stack was not there before.
    """
    if before is None:
        return []
    old, new = _services(before), _services(after)
    lines = [_line(key, old.get(key), new.get(key)) for key in sorted(old | new)]
    return [line for line in lines if line] + list(_interruptions(old, new))


def _engine(engine: Engine) -> dict[str, Any]:
    ranks = [{"node": rank.node, "gpus": list(rank.gpus)} for rank in engine.ranks]
    return {"role": engine.role, "index": engine.index, "ranks": ranks}


def _digests(service: Service, runtime: RuntimeSpec) -> dict[str, str]:
    """Return what a node restarts the service for (`nodectl.launch.Launch`), each part apart."""
    few = {
        "files": service.files if service.reload is None else {},
        "gate": service.gate and service.gate.model_dump(),
        "runtime": [] if service.module in MACHINE_PROGRAMS else [runtime.variant, runtime.lock],
    }
    return {
        "flags": digest([service.module, service.flags]),
        "env": digest(service.env),
        "secrets": digest(service.secrets),
        "stop": digest(service.stop.seconds),
        "gang": digest(service.gang and service.gang.model_dump()),
        **{part: digest(value) for part, value in few.items() if value},
    }


def _services(of: Topology) -> _Services:
    return {
        (node["name"], name): digests for node in of["nodes"] for name, digests in node["services"].items()
    }


def _line(key: tuple[str, str], old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> str | None:
    node, name = key
    if old is None:
        return f"{name} on {node} starts"
    if new is None:
        return f"{name} on {node} stops"
    changed = [_WORDS.get(part, part) for part in {**old, **new} if old.get(part) != new.get(part)]
    return f"{name} on {node} restarts: {' and '.join(changed)} changed" if changed else None


def _interruptions(old: _Services, new: _Services) -> Iterator[str]:
    """Find what no other replica covers: several members of a role change one after another."""
    every = {"frontend", "balancer"}
    worked, works = _roles(old) - every, _roles(new) - every
    if worked and not worked & works:
        yield "interrupts serving: the pattern changes, every worker is replaced"
    for role in sorted(_roles(old) & _roles(new)):
        parts = {key: digests for key, digests in new.items() if _role(key) == role}
        if 1 in (_members(old, role), _members(new, role)) and any(
            old.get(key) != digests for key, digests in parts.items()
        ):
            what = role if role in every else f"{role} worker"
            yield f"interrupts serving: the only {what} restarts"


def _members(services: _Services, role: str) -> int:
    """Count the frontends or engines of a role; the further ranks of an engine are none of their own."""
    return sum(_role(key) == role and "-rank-" not in key[1] for key in services)


def _roles(services: _Services) -> set[str]:
    return {_role(key) for key in services} - {"nats", "etcd"}


def _role(key: tuple[str, str]) -> str:
    return key[1].split("-")[0]
