"""The whole deployment: nodes converge side by side, then the proof."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pulumi

import planning
from components.inputs import gathered, mapped
from components.node import Node
from components.node_deployment import NodeDeployment, NodeDeploymentArgs
from components.proof import Proof, ProofArgs
from nodectl.contract.manifest import Manifest, Rollout, Watch
from nodectl.contract.proof import ProofSpec
from planning.values import Plan


@dataclass(frozen=True)
class DeploymentArgs:
    """Arguments of `Deployment`. `secrets` maps environment names to values."""

    plan: Plan
    nodes: Sequence[Node]
    secrets: Mapping[str, str]


class Deployment(pulumi.ComponentResource):
    """A `NodeDeployment` for each node, and the proof of them all.

    Outputs: `endpoint`, the URL that clients ask, and `proof`, the proof's report.
    """

    def __init__(self, name: str, args: DeploymentArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:index:Deployment", name, None, opts)
        addresses = {node.name: node.address for node in args.nodes}
        manifests = _identified(planning.manifests(args.plan, addresses), args.nodes)
        deployed = self._nodes(args, manifests)
        spec = mapped(
            gathered(manifests),
            lambda known: _with_logs(planning.proof_spec(args.plan, addresses, known), args.nodes),
        )
        head = next(node for node in args.nodes if node.name == args.plan.head)
        applied = [node.applied for node in deployed.values()]
        opts = pulumi.ResourceOptions(parent=self, depends_on=applied)
        self.proof = Proof("proof", ProofArgs(head, spec), opts).result
        if not any(node.here for node in args.nodes):
            converged = _known_once(applied)
            for node, deployment in deployed.items():
                deployment.probe(planning.probe_spec(args.plan, addresses, node), converged)
        self.endpoint = _endpoint(args.plan, addresses, head)
        self.register_outputs({"endpoint": self.endpoint, "proof": self.proof})

    def _nodes(
        self, args: DeploymentArgs, manifests: Mapping[str, Manifest | pulumi.Output[Manifest]]
    ) -> dict[str, NodeDeployment]:
        """Bring each node to its manifest. Only the first node of an engine waits for the engine's others."""
        deployed: dict[str, NodeDeployment] = {}
        followers = planning.followers(args.plan)
        child = pulumi.ResourceOptions(parent=self)
        for node in sorted(args.nodes, key=lambda node: len(followers[node.name])):
            runtime = planning.installed(args.plan, node.name)
            deployed[node.name] = NodeDeployment(
                node.name,
                NodeDeploymentArgs(node, runtime, args.secrets, manifests[node.name]),
                child,
                after=[deployed[follower].applied for follower in followers[node.name]],
            )
        return deployed


def _known_once(resources: Sequence[pulumi.Resource]) -> pulumi.Output[None]:
    """Return an output that is known once all `resources` are there.

    It does not depend on them: N resources that wait for N others would put N x N dependencies into state.
    """

    async def there() -> None:
        await asyncio.gather(*(resource.urn.future() for resource in resources))

    known: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    known.set_result(True)
    return pulumi.Output(set(), asyncio.ensure_future(there()), known)


def _with_logs(spec: ProofSpec, nodes: Sequence[Node]) -> ProofSpec:
    """Return the proof with what it needs to say where the logs are when it fails."""
    roots = {node.name: node.root for node in nodes if node.here}
    return replace(spec, node_roots=roots) if roots else replace(spec, stack=pulumi.get_stack())


def _endpoint(plan: Plan, addresses: Mapping[str, str], head: Node) -> pulumi.Output[str]:
    """Return the URL that clients ask: at the head's public address, where it has one."""
    return pulumi.Output.from_input(head.public or head.address).apply(
        lambda address: planning.endpoint(plan, {**addresses, head.name: address})
    )


def _identified(
    manifests: Mapping[str, Manifest], nodes: Sequence[Node]
) -> dict[str, Manifest | pulumi.Output[Manifest]]:
    """Write into each manifest the identity of the machine that it is for, and the stack's name.

    Each by itself: the manifest of one node is known in previews though another's machine is replaced.
    """
    return {node.name: _of(node, manifests[node.name]) for node in nodes}


def _of(node: Node, manifest: Manifest) -> Manifest | pulumi.Output[Manifest]:
    of_machine: Mapping[str, Any] = {"identity": node.identity, "ends": node.ends}
    return mapped(
        gathered(of_machine),
        lambda known: replace(
            manifest,
            identity=known["identity"],
            rollout=_of_this_stack(manifest.rollout),
            watch=_until(manifest.watch, known["ends"]),
        ),
    )


def _until(watch: Watch | None, ends: str | None) -> Watch | None:
    return watch and replace(watch, ends=ends or None)


def _of_this_stack(rollout: Rollout | None) -> Rollout | None:
    return rollout and replace(rollout, stack=pulumi.get_stack())
