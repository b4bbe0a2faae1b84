"""The whole deployment: nodes converge side by side, then the proof."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

import planning
from components.node import Node
from components.proof import Proof, ProofArgs
from components.runtime import NodeRuntime, NodeRuntimeArgs
from components.secrets import NodeSecrets, NodeSecretsArgs
from components.services import NodeServices, NodeServicesArgs
from nodectl.manifest import Manifest, RuntimeSpec
from planning.values import Plan


@dataclass(frozen=True)
class DeploymentArgs:
    """Arguments of `Deployment`. `secrets` maps environment names to values."""

    plan: Plan
    nodes: Sequence[Node]
    secrets: Mapping[str, str]


class Deployment(pulumi.ComponentResource):
    """Every node with its runtime, secrets and services, and the proof of them all."""

    def __init__(self, name: str, args: DeploymentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:index:Deployment", name, None, opts)
        addresses = {node.name: node.address for node in args.nodes}
        manifests = _identified(planning.manifests(args.plan, addresses), args.nodes)
        services = [self._converge(node, args, manifests) for node in args.nodes]
        roots = {node.name: node.root for node in args.nodes if node.here}
        spec = manifests.apply(
            lambda m: planning.proof_spec(args.plan, addresses, m).model_copy(update={"node_roots": roots})
        )
        head = next(node for node in args.nodes if node.name == args.plan.head)
        proven = pulumi.ResourceOptions(parent=self, depends_on=services)
        self.proof = Proof("proof", ProofArgs(head, spec), proven).result
        self.endpoint = spec.apply(lambda s: s.endpoint)
        self.register_outputs({"endpoint": self.endpoint, "proof": self.proof})

    def _converge(
        self, node: Node, args: DeploymentArgs, manifests: pulumi.Output[dict[str, Manifest]]
    ) -> NodeServices:
        """Bring one node to its manifest; nothing here waits for another node."""
        child = pulumi.ResourceOptions(parent=self)
        before: list[pulumi.Resource] = [
            NodeRuntime(node.name, NodeRuntimeArgs(node, _runtime(args.plan, node), args.secrets), child)
        ]
        if args.secrets:
            before.append(NodeSecrets(node.name, NodeSecretsArgs(node, args.secrets), child))
        manifest = manifests.apply(lambda m: m[node.name])
        return NodeServices(
            node.name,
            NodeServicesArgs(node, manifest),
            pulumi.ResourceOptions(parent=self, depends_on=before),
        )


def _runtime(plan: Plan, node: Node) -> RuntimeSpec:
    return planning.runtime_of(plan.runtime, head=node.name == plan.head)


def _identified(
    manifests: Mapping[str, Manifest], nodes: Sequence[Node]
) -> pulumi.Output[dict[str, Manifest]]:
    """Write into each manifest the identity of the machine that it is for."""
    identities = pulumi.Output.all(**{node.name: node.identity for node in nodes})
    return identities.apply(
        lambda found: {
            name: manifest.model_copy(update={"identity": found[name]})
            for name, manifest in manifests.items()
        }
    )
