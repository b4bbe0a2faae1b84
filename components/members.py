"""Who belongs to the deployment: workers that left the plan get no more requests, before the proof."""

from dataclasses import dataclass

import pulumi

from components.node import Node
from components.nodectl import nodectl
from nodectl.manifest import MembersSpec


@dataclass(frozen=True)
class MembersArgs:
    """Arguments of `Members`. Runs on `node`, and again whenever the members change."""

    node: Node
    spec: MembersSpec


class Members(pulumi.ComponentResource):
    """The workers of the plan. Pulumi removes others only after everything else: till then they are idle."""

    def __init__(self, name: str, args: MembersArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:index:Members", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        nodectl(name, args.node, "retire", args.spec.model_dump_json(), child)
        self.register_outputs({})
