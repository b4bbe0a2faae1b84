"""The runtime of a node, before services start: nodectl's environment and, for engines, the model."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.node import Node
from components.nodectl import nodectl
from nodectl.contract.manifest import RuntimeSpec


@dataclass(frozen=True)
class NodeRuntimeArgs:
    """Arguments of `NodeRuntime`."""

    node: Node
    runtime: RuntimeSpec
    secrets: Mapping[str, str]
    """By environment name; a gated model on the hub needs the token."""


class NodeRuntime(pulumi.ComponentResource):
    """The version lock's environment and the model, in the node's cache, which outlives the stack."""

    def __init__(self, name: str, args: NodeRuntimeArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:node:Runtime", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        nodectl(f"{name}-install", args.node, "install", _stdin(args), child)
        self.register_outputs({})


def _stdin(args: NodeRuntimeArgs) -> pulumi.Input[str]:
    """Return the spec; with secrets, which hide it in previews, only where a model is downloaded."""
    model = args.runtime.model
    if model is None or model.kind != "hub" or not args.secrets:
        return args.runtime.model_dump_json()
    spec = args.runtime.model_dump(mode="json") | {"secrets": dict(args.secrets)}
    return pulumi.Output.secret(json.dumps(spec))
