"""Nodes of `target: local`: this machine, one loopback address and one supervisor a node."""

from collections.abc import Mapping
from pathlib import Path

import pulumi

from components.node import Node
from components.nodectl import PYTHON
from nodectl.supervisors.identity import local_identity
from planning.network import listeners
from planning.values import Plan
from program.loopback import addresses, first_address, keep

RUN = Path(".run")
"""Folder of all local stacks' nodes, seen from the project folder; git-ignored."""


def local_addresses(plan: Plan) -> dict[str, str]:
    """Return loopback addresses for the plan's nodes that are free, or were this stack's before."""
    run_folder = RUN / pulumi.get_stack()
    first = first_address(Path.cwd(), pulumi.get_stack(), run_folder, listeners.numbers(plan))
    return addresses(first, [node.name for node in plan.nodes])


def local_nodes(plan: Plan, node_addresses: Mapping[str, str]) -> list[Node]:
    """Return the plan's nodes at the addresses that were found; the stack keeps them as long as it lives."""
    run_folder = RUN / pulumi.get_stack()
    if not pulumi.runtime.is_dry_run():
        keep(run_folder, node_addresses[plan.nodes[0].name])
    return [_node(run_folder / name, address) for name, address in node_addresses.items()]


def _node(root: Path, address: str) -> Node:
    identity = local_identity(root)
    nodectl = (PYTHON, "-I", "nodectl/start.py")
    return Node(root.name, address, nodectl, nodectl, identity, root=str(root), here=True)
