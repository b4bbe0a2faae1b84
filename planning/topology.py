"""The stack output `topology`, and what changes from one to the next."""

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from nodectl.manifest import RuntimeSpec, Service
from planning.runtimes import engine_part, stores_part
from planning.services import manifests
from planning.values import Engine, Plan

Topology = Mapping[str, Any]
"""`{nodes: [{name, address, gpus, services: {NAME: {PART: DIGEST}}}], engines, flows}`, plain JSON."""

_Services = dict[tuple[str, str], Mapping[str, str]]
"""(node, service) -> digests of what it was started with."""

_STORES: Final = {"nats", "etcd"}
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
                    name: _digests(service, _runtime(name, plan.runtime))
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


def _runtime(service: str, spec: RuntimeSpec) -> list[object]:
    return stores_part(spec) if service in _STORES else engine_part(spec)


def _digests(service: Service, runtime: Sequence[object]) -> dict[str, str]:
    """Return what a node restarts the service for (`nodectl.launch.Launch`), each part apart."""
    return {
        "flags": _digest([service.module, service.flags]),
        "env": _digest(service.env),
        "secrets": _digest(service.secrets),
        "stop": _digest(service.stop.seconds),
        "gang": _digest(service.gang and service.gang.model_dump()),
        "runtime": _digest(runtime),
    }


def _digest(value: object) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:8]


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
    changed = [_WORDS.get(part, part) for part in new if old.get(part) != new[part]]
    return f"{name} on {node} restarts: {' and '.join(changed)} changed" if changed else None


def _interruptions(old: _Services, new: _Services) -> Iterator[str]:
    """Find what no other replica covers: several members of a role change one after another."""
    worked, works = _roles(old) - {"frontend"}, _roles(new) - {"frontend"}
    if worked and not worked & works:
        yield "interrupts serving: the pattern changes, every worker is replaced"
    for role in sorted(_roles(old) & _roles(new)):
        parts = {key: digests for key, digests in new.items() if _role(key) == role}
        members = [name for _, name in parts if "-rank-" not in name]
        if len(members) == 1 and any(old.get(key) != digests for key, digests in parts.items()):
            what = "frontend" if role == "frontend" else f"{role} worker"
            yield f"interrupts serving: the only {what} restarts"


def _roles(services: _Services) -> set[str]:
    return {_role(key) for key in services} - _STORES


def _role(key: tuple[str, str]) -> str:
    return key[1].split("-")[0]
