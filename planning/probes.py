"""What each node must be able to connect to: the plan's flows from its side."""

from collections.abc import Mapping
from typing import Final

from nodectl.manifest import ProbeSpec, ProbeTarget
from planning.firewall import nodes_at
from planning.values import Plan

_SECONDS: Final = 30
"""For firewalls that others change in the same `up`."""


def probe_spec(plan: Plan, addresses: Mapping[str, str], node: str) -> ProbeSpec:
    """Return every port of another node that `node` needs, with each reason; of a range its two ends."""
    reasons: dict[tuple[str, int], list[str]] = {}
    for flow in plan.flows:
        if flow.source == "client" or node not in nodes_at(plan, flow.source):
            continue
        for target in sorted(nodes_at(plan, flow.target) - {node}):
            for port in sorted({flow.first, flow.last}):
                reasons.setdefault((target, port), []).append(flow.why)
    targets = [
        ProbeTarget(node=target, endpoint=f"{addresses[target]}:{port}", why="; ".join(dict.fromkeys(why)))
        for (target, port), why in sorted(reasons.items())
    ]
    return ProbeSpec(node=node, targets=targets, seconds=_SECONDS)
