"""Nodes of `target: local`: this machine, one loopback address and one supervisor a node."""

from pathlib import Path

import pulumi

from components.loopback import addresses, first_address, keep
from components.node import Node
from components.nodectl import PYTHON
from nodectl.identity import local_identity
from planning import ports
from planning.values import Plan

RUN = Path(".run")
"""Folder of all local stacks' nodes, seen from the project folder; git-ignored."""


def local_nodes(plan: Plan) -> list[Node]:
    """Return the plan's nodes on loopback addresses that are free, or were this stack's before."""
    run = RUN / pulumi.get_stack()
    probes = ports.local_probes(plan.settings.roles.frontend.replicas)
    first = first_address(Path.cwd(), pulumi.get_stack(), run, probes)
    if not pulumi.runtime.is_dry_run():
        keep(run, first)
    found = addresses(first, [node.name for node in plan.nodes])
    return [_node(run / name, address) for name, address in found.items()]


def _node(root: Path, address: str) -> Node:
    identity = local_identity(root)
    nodectl = (PYTHON, "-m", "nodectl")
    return Node(root.name, address, nodectl, nodectl, identity, root=str(root), here=True)
