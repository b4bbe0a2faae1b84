"""Check which connections a node can make: closed ways between machines are told by name."""

from dataclasses import dataclass

import pulumi

from components.node import Node
from components.nodectl import nodectl
from nodectl.contract.probe import ProbeSpec


@dataclass(frozen=True)
class NodeReachArgs:
    """Arguments of `NodeReach`. It looks when `spec` changes."""

    node: Node
    spec: ProbeSpec


class NodeReach(pulumi.ComponentResource):
    """A node that was seen to reach every port that it needs."""

    def __init__(self, name: str, args: NodeReachArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:node:Reach", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        nodectl(f"{name}-probe", args.node, "probe", args.spec.written(), child)
        self.register_outputs({})
