"""The services of a node: one command whose standard input is the node's manifest."""

from dataclasses import dataclass

import pulumi

from components.node import Node
from components.nodectl import nodectl
from nodectl.contract.manifest import Manifest


@dataclass(frozen=True)
class NodeServicesArgs:
    """Arguments of `NodeServices`."""

    node: Node
    manifest: pulumi.Input[Manifest]


class NodeServices(pulumi.ComponentResource):
    """A node converged to its manifest. Destroying it removes everything that it put on the node."""

    def __init__(self, name: str, args: NodeServicesArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:node:Services", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        manifest = pulumi.Output.from_input(args.manifest).apply(lambda m: m.model_dump_json())
        nodectl(f"{name}-apply", args.node, "apply", manifest, child, delete="remove")
        self.register_outputs({})
