"""The proof: `up` succeeds only when the deployment was seen to do what its stack file says."""

import json
from dataclasses import dataclass

import pulumi

from components.inputs import mapped
from components.node import Node
from components.nodectl import nodectl
from nodectl.contract import codec
from nodectl.contract.proof import ProofSpec


@dataclass(frozen=True)
class ProofArgs:
    """Arguments of `Proof`. It runs on `node` and again whenever `spec` changes."""

    node: Node
    spec: ProofSpec | pulumi.Output[ProofSpec]


class Proof(pulumi.ComponentResource):
    """Report of the proof when the manifests last changed, as the stack output `proof`."""

    result: pulumi.Output[object]

    def __init__(self, name: str, args: ProofArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:index:Proof", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        spec = mapped(args.spec, codec.written)
        command = nodectl(name, args.node, "proof", spec, child, options=["--retire"])
        self.result = command.stdout.apply(json.loads)
        self.register_outputs({"result": self.result})
