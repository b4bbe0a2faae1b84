"""The whole deployment: nodes converge side by side, then the proof."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi

import planning
from components.node import Node
from components.proof import Proof, ProofArgs
from components.reachability import NodeReach, NodeReachArgs
from components.runtime import NodeRuntime, NodeRuntimeArgs
from components.secrets import NodeSecrets, NodeSecretsArgs
from components.services import NodeServices, NodeServicesArgs
from nodectl.contract.manifest import Manifest, Rollout, Watch
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
        services = self._converge(args, manifests)
        where = _logs(args.nodes)
        spec = pulumi.Output.all(**manifests).apply(
            lambda m: planning.proof_spec(args.plan, addresses, m).model_copy(update=where)
        )
        head = next(node for node in args.nodes if node.name == args.plan.head)
        proven = pulumi.ResourceOptions(parent=self, depends_on=services)
        self.proof = Proof("proof", ProofArgs(head, spec), proven).result
        # beside the proof, so that a way that is closed has a name long before the proof gives up
        for node in [] if any(node.here for node in args.nodes) else args.nodes:
            NodeReach(
                node.name, NodeReachArgs(node, planning.probe_spec(args.plan, addresses, node.name)), proven
            )
        self.endpoint = _endpoint(args.plan, addresses, head)
        self.register_outputs({"endpoint": self.endpoint, "proof": self.proof})

    def _converge(
        self, args: DeploymentArgs, manifests: Mapping[str, pulumi.Output[Manifest]]
    ) -> list[NodeServices]:
        """Bring each node to its manifest. Only the first node of an engine waits for the engine's others."""
        services: dict[str, NodeServices] = {}
        others = planning.followers(args.plan)
        for node in sorted(args.nodes, key=lambda node: len(others[node.name])):
            after = [services[other] for other in others[node.name]]
            services[node.name] = self._services(node, args, manifests, after)
        return list(services.values())

    def _services(
        self,
        node: Node,
        args: DeploymentArgs,
        manifests: Mapping[str, pulumi.Output[Manifest]],
        after: Sequence[pulumi.Resource],
    ) -> NodeServices:
        child = pulumi.ResourceOptions(parent=self)
        before: list[pulumi.Resource] = [
            NodeRuntime(
                node.name,
                NodeRuntimeArgs(node, planning.installed(args.plan, node.name), args.secrets),
                child,
            ),
            *after,
        ]
        if args.secrets:
            before.append(NodeSecrets(node.name, NodeSecretsArgs(node, args.secrets), child))
        return NodeServices(
            node.name,
            NodeServicesArgs(node, manifests[node.name]),
            pulumi.ResourceOptions(parent=self, depends_on=before),
        )


def _logs(nodes: Sequence[Node]) -> dict[str, object]:
    """Return what a proof that fails needs to say where the logs are."""
    roots = {node.name: node.root for node in nodes if node.here}
    return {"node_roots": roots} if roots else {"stack": pulumi.get_stack()}


def _endpoint(plan: Plan, addresses: Mapping[str, str], head: Node) -> pulumi.Output[str]:
    """Return the URL that clients ask: at the head's public address, where it has one."""
    return pulumi.Output.from_input(head.public or head.address).apply(
        lambda address: planning.endpoint(plan, {**addresses, head.name: address})
    )


def _identified(
    manifests: Mapping[str, Manifest], nodes: Sequence[Node]
) -> dict[str, pulumi.Output[Manifest]]:
    """Write into each manifest the identity of the machine that it is for, and the stack's name.

    Each by itself: the manifest of one node is known in previews though another's machine is replaced.
    """
    return {node.name: _of(node, manifests[node.name]) for node in nodes}


def _of(node: Node, manifest: Manifest) -> pulumi.Output[Manifest]:
    known = pulumi.Output.all(identity=node.identity, ends=node.ends)
    return known.apply(
        lambda known: manifest.model_copy(
            update={
                "identity": known["identity"],
                "rollout": _of_this_stack(manifest.rollout),
                "watch": _until(manifest.watch, known["ends"]),
            }
        )
    )


def _until(watch: Watch | None, ends: str | None) -> Watch | None:
    return watch and watch.model_copy(update={"ends": ends or None})


def _of_this_stack(rollout: Rollout | None) -> Rollout | None:
    return rollout and rollout.model_copy(update={"stack": pulumi.get_stack()})
