"""Secrets of a node: written to files of mode 0600, never part of a manifest."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pulumi

from components.node import Node
from components.nodectl import nodectl


@dataclass(frozen=True)
class NodeSecretsArgs:
    """Arguments of `NodeSecrets`. `values` maps environment names to values."""

    node: Node
    values: Mapping[str, str]


class NodeSecrets(pulumi.ComponentResource):
    """A node's secrets; a changed one restarts the services that use it."""

    def __init__(self, name: str, args: NodeSecretsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:node:Secrets", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        values = pulumi.Output.secret(json.dumps(args.values, sort_keys=True))
        nodectl(f"{name}-secrets", args.node, "secrets", values, child, delete="forget")
        self.register_outputs({})
