"""Connections that a host must let in: the plan's flows, with addresses in place of names."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, collapse_addresses, ip_network
from typing import Final

from nodectl.contract.firewall import Firewall, Opening
from planning.values import FlowEnd, NodeSet, Plan

MOST_SOURCES: Final = 256
"""Addresses that an opening lists. Every node has openings: all addresses of many would be their square."""


def managed(plan: Plan) -> bool:
    """Return whether the plan's nodes refuse connections that they do not need."""
    return plan.settings.target.firewall.mode == "manage"


def firewalls(plan: Plan, addresses: Mapping[str, str]) -> Mapping[str, Firewall]:
    """Return by node who may connect to it on which ports; none where firewalls are not managed."""
    if not managed(plan):
        return {}
    opening = cache(_opening)  # nodes that let in the same share it
    sources = _sources(plan, addresses)
    by_node = {node.name: _reasons(plan, node.name, sources) for node in plan.nodes}
    port_openings = [
        _opening(False, (), port, port, ("openPorts",)) for port in plan.settings.target.firewall.open_ports
    ]
    return {
        node: Firewall(
            openings=[
                *(
                    opening(*opening_key, tuple(flow_reasons))
                    for opening_key, flow_reasons in reasons.items()
                ),
                *port_openings,
            ]
        )
        for node, reasons in by_node.items()
    }


@dataclass(frozen=True)
class Sources:
    """Addresses at the source of a flow."""

    group: bool
    """Whether they are single nodes, which may finish what they do when they leave."""
    by_node: Mapping[str, str]
    ranges: tuple[str, ...] = ()

    @classmethod
    def of(cls, nodes: NodeSet, addresses: Mapping[str, str]) -> "Sources":
        """Return the addresses of nodes in order; of more than `MOST_SOURCES` the ranges that they fill."""
        if len(nodes) > MOST_SOURCES:
            ranges = collapse_addresses(IPv4Network(addresses[name]) for name in nodes.names)
            return cls(group=False, by_node={}, ranges=tuple(map(str, ranges)))
        names = sorted(nodes.names, key=lambda name: IPv4Address(addresses[name]))
        return cls(group=True, by_node={name: addresses[name] for name in names})

    def seen_from(self, node: str) -> tuple[str, ...]:
        """Return all but the address of `node`: what comes from the node itself never leaves it."""
        return self.ranges or tuple(address for name, address in self.by_node.items() if name != node)


def _sources(plan: Plan, addresses: Mapping[str, str]) -> Mapping[FlowEnd, Sources]:
    ends: set[FlowEnd] = {flow.source for flow in plan.flows}
    clients = tuple(sorted(plan.settings.target.firewall.clients))
    return {
        end: Sources(group=False, by_node={}, ranges=clients)
        if end == "client"
        else Sources.of(plan.at(end), addresses)
        for end in ends
    }


def _reasons(
    plan: Plan, node: str, sources: Mapping[FlowEnd, Sources]
) -> Mapping[tuple[bool, tuple[str, ...], int, int], Sequence[str]]:
    """Return who may connect to a node, by group, addresses and first and last port, with each reason."""
    reasons: dict[tuple[bool, tuple[str, ...], int, int], list[str]] = {}
    for flow in plan.flows:
        if node in plan.at(flow.target) and (source_addresses := sources[flow.source].seen_from(node)):
            reasons.setdefault(
                (sources[flow.source].group, source_addresses, flow.first, flow.last), []
            ).append(flow.why)
    return reasons


def _opening(
    group: bool, sources: tuple[str, ...], first: int, last: int, reasons: tuple[str, ...]
) -> Opening:
    networks = [str(ip_network(source)) for source in sources]
    return Opening(first=first, last=last, sources=networks, group=group, why=list(reasons))
