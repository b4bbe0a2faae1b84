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
        deployments = self._nodes(args, manifests)
        spec = mapped(
            gathered(manifests),
            lambda all_manifests: _with_logs(
                planning.proof_spec(args.plan, addresses, all_manifests), args.nodes
            ),
        )
        head = next(node for node in args.nodes if node.name == args.plan.head)
        apply_commands = [node.applied for node in deployments.values()]
        opts = pulumi.ResourceOptions(parent=self, depends_on=apply_commands)
        self.proof = Proof("proof", ProofArgs(head, spec), opts).result
        if not any(node.here for node in args.nodes):
            convergence = _known_once(apply_commands)
            for node, deployment in deployments.items():
                deployment.probe(planning.probe_spec(args.plan, addresses, node), convergence)
        self.endpoint = _endpoint(args.plan, addresses, head)
        self.register_outputs({"endpoint": self.endpoint, "proof": self.proof})

    def _nodes(
        self, args: DeploymentArgs, manifests: Mapping[str, Manifest | pulumi.Output[Manifest]]
    ) -> dict[str, NodeDeployment]:
        """Bring each node to its manifest. Only the first node of an engine waits for the engine's others."""
        deployments: dict[str, NodeDeployment] = {}
        followers = planning.followers(args.plan)
        child = pulumi.ResourceOptions(parent=self)
        for node in sorted(args.nodes, key=lambda node: len(followers[node.name])):
            runtime = planning.installed(args.plan, node.name)
            deployments[node.name] = NodeDeployment(
                node.name,
                NodeDeploymentArgs(node, runtime, args.secrets, manifests[node.name]),
                child,
                after=[deployments[follower].applied for follower in followers[node.name]],
            )
        return deployments


def _known_once(resources: Sequence[pulumi.Resource]) -> pulumi.Output[None]:
    """Return an output that is known once all `resources` are there.

    It does not depend on them: N resources that wait for N others would put N x N dependencies into state.
    """

    async def wait() -> None:
        await asyncio.gather(*(resource.urn.future() for resource in resources))

    is_known: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
    is_known.set_result(True)
    return pulumi.Output(set(), asyncio.ensure_future(wait()), is_known)


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
    machine_inputs: Mapping[str, Any] = {"identity": node.identity, "ends": node.ends}
    return mapped(
        gathered(machine_inputs),
        lambda machine: replace(
            manifest,
            identity=machine["identity"],
            rollout=_of_this_stack(manifest.rollout),
            watch=_until(manifest.watch, machine["ends"]),
        ),
    )


def _until(watch: Watch | None, ends: str | None) -> Watch | None:
    return watch and replace(watch, ends=ends or None)


def _of_this_stack(rollout: Rollout | None) -> Rollout | None:
    return rollout and replace(rollout, stack=pulumi.get_stack())
