"""What a node needs before services can start: nodectl's environment and the model."""

from dataclasses import dataclass

import pulumi

from components.node import Node
from components.nodectl import nodectl
from nodectl.manifest import RuntimeSpec


@dataclass(frozen=True)
class NodeRuntimeArgs:
    """Arguments of `NodeRuntime`."""

    node: Node
    runtime: RuntimeSpec


class NodeRuntime(pulumi.ComponentResource):
    """The version lock's environment and the model, in the node's cache, which outlives the stack."""

    def __init__(self, name: str, args: NodeRuntimeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:node:Runtime", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        nodectl(f"{name}-install", args.node, "install", args.runtime.model_dump_json(), child)
        self.register_outputs({})
