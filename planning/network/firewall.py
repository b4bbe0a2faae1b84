"""Which connections a host must let in: the plan's flows, with addresses in place of names."""

from collections.abc import Iterable, Mapping
from ipaddress import ip_network

from nodectl.contract.firewall import Firewall, Opening
from planning.values import Flow, FlowEnd, Plan


def managed(plan: Plan) -> bool:
    """Whether the plan's nodes refuse connections that they do not need."""
    return plan.settings.target.firewall.mode == "manage"


def firewall(plan: Plan, addresses: Mapping[str, str], node: str) -> Firewall | None:
    """Return who may connect to `node` on which ports; None where its firewall is not managed.

    What comes from the node itself never leaves it, so it is none of its sources.
    """
    if not managed(plan):
        return None
    settings = plan.settings.target.firewall
    found: dict[tuple[bool, tuple[str, ...], int, int], list[str]] = {}
    for flow in plan.flows:
        if node in nodes_at(plan, flow.target) and (sources := _sources(plan, addresses, node, flow)):
            key = (flow.source != "client", tuple(sources), flow.first, flow.last)
            found.setdefault(key, []).append(flow.why)
    openings = [
        Opening(first=first, last=last, sources=[_network(s) for s in sources], group=group, why=why)
        for (group, sources, first, last), why in found.items()
    ]
    own = [Opening(first=port, last=port, sources=[], why=["openPorts"]) for port in settings.open_ports]
    return Firewall(openings=openings + own)


def nodes_at(plan: Plan, end: FlowEnd) -> set[str]:
    """Return the nodes that are meant by the end of a flow; none for clients."""
    if end == "node":
        return {node.name for node in plan.nodes}
    if end == "head":
        return {plan.head}
    if end == "frontend":
        return {service.node for service in plan.services if service.kind == "frontend"}
    engines = [
        engine
        for engine in plan.engines
        if end in ("worker", engine.role) or (end == "rank" and len(engine.ranks) > 1)
    ]
    return {rank.node for engine in engines for rank in engine.ranks}


def _sources(plan: Plan, addresses: Mapping[str, str], node: str, flow: Flow) -> list[str]:
    if flow.source == "client":
        return sorted(plan.settings.target.firewall.clients)
    return _sorted(addresses[source] for source in nodes_at(plan, flow.source) - {node})


def _network(source: str) -> str:
    """Return an address or a range as a range: `10.0.0.1/32`."""
    return str(ip_network(source))


def _sorted(addresses: Iterable[str]) -> list[str]:
    return sorted(addresses, key=lambda address: [int(part) for part in address.split(".")])
