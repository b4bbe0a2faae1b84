"""Nodes of `target: hosts`: the machines of an inventory, each reached over SSH."""

from collections.abc import Mapping
from pathlib import Path

import pulumi

import planning
from components.node import HOST_ROOT, Node
from components.nodectl import PYTHON
from planning.values import Plan
from remote import bundle, host_keys
from remote.host import Host
from settings.targets import HostEntry, HostsTarget


def host_addresses(plan: Plan) -> dict[str, str]:
    """Return the addresses of the plan's nodes, as the inventory has them."""
    inventory_addresses = {entry.name: entry.address for entry in _target(plan).inventory}
    return {node.name: inventory_addresses[node.name] for node in plan.nodes}


def host_nodes(plan: Plan, addresses: Mapping[str, str]) -> list[Node]:
    """Return the plan's nodes on the machines of the inventory.

    On `up`, a host whose key is neither given nor recorded is connected to first, so that its key is part of
    its identity from the start.
    """
    target = _target(plan)
    hosts = {entry.name: _host(target, entry) for entry in target.inventory}
    if not pulumi.runtime.is_dry_run():
        host_keys.record(hosts.values())
    return [_node(hosts[name], address, plan) for name, address in addresses.items()]


def known_hosts(stack: str) -> Path:
    """Return the file of the host keys that were recorded for a stack; it belongs into version control."""
    return Path("stacks", f"known_hosts.{stack}")


def _target(plan: Plan) -> HostsTarget:
    if not isinstance(plan.settings.target, HostsTarget):
        raise TypeError(f"not hosts: {plan.settings.target.kind}")
    return plan.settings.target


def _host(target: HostsTarget, entry: HostEntry) -> Host:
    return Host(
        name=entry.name,
        host=entry.host or entry.address,
        user=entry.user or target.user,
        port=entry.port or target.port,
        bastion=entry.bastion or target.bastion,
        host_key=entry.host_key,
        known_hosts=known_hosts(pulumi.get_stack()),
    )


def _node(host: Host, address: str, plan: Plan) -> Node:
    # -S: it needs no packages, and looking for them is half of its start
    remote = (PYTHON, "-S", "-m", "remote", *host.arguments())
    variant = planning.installed(plan, host.name).environment
    return Node(
        host.name,
        address,
        nodectl=(*remote, "--release", bundle.digest(), "--", variant),
        undo=(*remote, "--gone-is-fine", "--", variant),
        identity=f"{address} {host_keys.key(host) or 'any key'}",
        root=f"{HOST_ROOT}/{pulumi.get_stack()}/{host.name}",
        here=False,
    )
