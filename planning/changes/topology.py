"""The stack output `topology`, and what changes from one to the next."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from nodectl.contract.codec import encode
from nodectl.contract.manifest import Service
from nodectl.contract.runtime import MACHINE_PROGRAMS, RuntimeSpec
from planning.changes.interruptions import Topology, interruptions, services
from planning.nodes.manifests import manifests
from planning.nodes.rollout import digest
from planning.nodes.runtimes import engine_part, stores_part
from planning.values import Engine, Flow, Plan

_BUNDLED: Final = "bundled"
_WORDS: Final = {"env": "environment", "stop": "stop time"}
"""Digests whose names would not tell a reader what changed."""


def topology(plan: Plan, addresses: Mapping[str, str]) -> dict[str, Any]:
    """Return who runs where, with digests that tell what the next change restarts: plain JSON.

    `{nodes: [{name, address, gpus, services: {NAME: {PART: DIGEST}}}], engines, flows,
    maxUnavailable, stores}`; without `stores` NATS and etcd are those of the package index.
    """
    node_manifests = manifests(plan, addresses)
    return {
        "nodes": [
            {
                "name": node.name,
                "address": addresses[node.name],
                "gpus": node.gpus,
                "services": {
                    name: _digests(service, _runtime(name, node_manifests[node.name].runtime))
                    for name, service in node_manifests[node.name].services.items()
                },
            }
            for node in plan.nodes
        ],
        "engines": [_engine(engine) for engine in plan.engines],
        "flows": [_flow(flow) for flow in plan.flows],
        "maxUnavailable": plan.settings.rollout.max_unavailable,
        **_stores(plan.runtime),
    }


def restarts(before: Topology | None, after: Topology) -> list[str]:
    """Return one line a service that starts, stops or restarts, and how the members of each role change.

    Nothing when the stack was not there before. `before` is as a stack reference read it.
    """
    if before is None:
        return []
    before = _with_whole_numbers(before)
    old, new = services(before), services(after)
    lines = [_line(key, old.get(key), new.get(key)) for key in sorted(old | new)]
    changes = [line for line in lines if line]
    return changes + list(_other_stores(before, after)) + list(interruptions(before, after))


def _with_whole_numbers(output: Any) -> Any:
    """Return a stack output as it was exported: Pulumi hands every number back as a floating-point one."""
    if isinstance(output, Mapping):
        return {key: _with_whole_numbers(value) for key, value in output.items()}
    if isinstance(output, list):
        return [_with_whole_numbers(value) for value in output]
    return int(output) if isinstance(output, float) and output.is_integer() else output


def _stores(spec: RuntimeSpec) -> dict[str, Any]:
    source = spec.stores.source if spec.stores else _BUNDLED
    return {} if source == _BUNDLED else {"stores": {"source": source}}


def _other_stores(before: Topology, after: Topology) -> Iterator[str]:
    """Say what becomes of the data of NATS and etcd where those come from somewhere else than before."""
    old, new = (output.get("stores", {}).get("source", _BUNDLED) for output in (before, after))
    etcd_services = {key for key in services(before).keys() & services(after).keys() if key[1] == "etcd"}
    if old == new or not etcd_services:
        return
    yield (
        f"NATS and etcd come from `{new}` in place of `{old}`: data stay in the node's folder and are taken "
        "over; an etcd that is older than the one that wrote them cannot read them"
    )
    if (old, new) == (_BUNDLED, "release"):
        yield (
            "`release` is the default off this machine, since the etcd of the package index may lose data "
            "in a crash; `stores: {source: bundled}` below `runtime` keeps what was"
        )


def _engine(engine: Engine) -> dict[str, Any]:
    ranks = [{"node": rank.node, "gpus": list(rank.gpus)} for rank in engine.ranks]
    return {"role": engine.role, "index": engine.index, "ranks": ranks}


def _flow(flow: Flow) -> dict[str, Any]:
    return {
        "source": flow.source,
        "target": flow.target,
        "first": flow.first,
        "last": flow.last,
        "why": flow.why,
        "port": flow.port_name,
    }


def _runtime(service: str, spec: RuntimeSpec) -> list[object]:
    return stores_part(spec) if service in ("nats", "etcd") else engine_part(spec)


def _digests(service: Service, runtime: Sequence[object]) -> dict[str, str]:
    """Return what a node restarts the service for (`nodectl.supervisors.launch.Launch`), each part apart."""
    optional_parts = {
        "files": service.files if service.reload is None else {},
        "gate": encode(service.gate),
        "runtime": [] if service.module in MACHINE_PROGRAMS else runtime,
    }
    return {
        "flags": digest([service.module, service.flags]),
        "env": digest(service.env),
        "secrets": digest(service.secrets),
        "stop": digest(service.stop.seconds),
        "gang": digest(encode(service.gang)),
        **{part: digest(value) for part, value in optional_parts.items() if value},
    }


def _line(key: tuple[str, str], old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> str | None:
    node, name = key
    if old is None:
        return f"{name} on {node} starts"
    if new is None:
        return f"{name} on {node} stops"
    changed = [_WORDS.get(part, part) for part in {**old, **new} if old.get(part) != new.get(part)]
    return f"{name} on {node} restarts: {' and '.join(changed)} changed" if changed else None
