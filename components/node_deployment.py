"""One node of a deployment: its runtime, secrets and services, and the connections that it must make."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pulumi
import pulumi_command as command

from components.inputs import mapped
from components.node import Node
from components.nodectl import nodectl
from components.tokens import NODE
from nodectl.contract import codec
from nodectl.contract.manifest import Manifest
from nodectl.contract.probe import ProbeSpec
from nodectl.contract.runtime import InstallSpec, RuntimeSpec


@dataclass(frozen=True)
class NodeDeploymentArgs:
    """Arguments of `NodeDeployment`."""

    node: Node
    runtime: RuntimeSpec
    """Software installed before services start: nodectl's environment and, for engines, the model."""
    secrets: Mapping[str, str]
    """By environment name; a changed one restarts the services that use it."""
    manifest: Manifest | pulumi.Output[Manifest]


class NodeDeployment(pulumi.ComponentResource):
    """A node converged to its manifest. Destroying it removes everything that it put on the node.

    Creates the commands NODE-install, NODE-secrets where there are secrets, NODE-apply, and by `probe`
    NODE-probe.

    Outputs: `address`; `root`, nodectl's folder on the node; `here`, whether it is this machine; `nodectl`,
    the command that a verb and its options are added to; `commands`, by verb the child that runs it.
    """

    applied: pulumi.Resource
    """The command that brought the node to its manifest."""

    def __init__(
        self,
        name: str,
        args: NodeDeploymentArgs,
        opts: pulumi.ResourceOptions | None = None,
        *,
        after: Sequence[pulumi.Resource] = (),
    ) -> None:
        """Set up a node; its services start once `after` is there as well."""
        former_options = pulumi.ResourceOptions(aliases=[pulumi.Alias(type_="dynamo:node:Services")])
        super().__init__(NODE, name, None, pulumi.ResourceOptions.merge(opts, former_options))
        self._name, self._node = name, args.node
        self._commands: dict[str, str] = {}
        dependencies = [self._install(args), *([self._secrets(args)] if args.secrets else []), *after]
        self.applied = self._apply(args, dependencies)
        self.register_outputs(
            {
                "address": args.node.address,
                "root": args.node.root,
                "here": args.node.here,
                "nodectl": list(args.node.nodectl),
                "commands": self._commands,
            }
        )

    def probe(self, spec: ProbeSpec, after: pulumi.Output[None]) -> None:
        """See that the node can make the connections of `spec`, once `after` is known.

        It looks when `spec` changes. Nothing depends on it: a closed port is named long before a proof gives
        up on it.
        """
        self._run("probe", after.apply(lambda _: codec.written(spec)), "dynamo:node:Reach")

    def _install(self, args: NodeDeploymentArgs) -> command.local.Command:
        return self._run("install", _install_input(args), "dynamo:node:Runtime")

    def _secrets(self, args: NodeDeploymentArgs) -> command.local.Command:
        """Write the secrets to files of mode 0600; they are never part of a manifest."""
        values = pulumi.Output.secret(json.dumps(args.secrets, sort_keys=True))
        return self._run("secrets", values, "dynamo:node:Secrets", delete="forget")

    def _apply(
        self, args: NodeDeploymentArgs, dependencies: Sequence[pulumi.Resource]
    ) -> command.local.Command:
        manifest = mapped(args.manifest, codec.written)
        return self._run("apply", manifest, "dynamo:node:Services", delete="remove", depends_on=dependencies)

    def _run(
        self,
        verb: str,
        stdin: pulumi.Input[str],
        former_type: str,
        *,
        delete: str | None = None,
        depends_on: Sequence[pulumi.Resource] = (),
    ) -> command.local.Command:
        """Register a command of the node. `former_type` is the type of its parent up to release 0.2."""
        name = self._commands[verb] = f"{self._name}-{verb}"
        urn = (
            f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::dynamo:index:Deployment${former_type}"
        )
        opts = pulumi.ResourceOptions(
            parent=self,
            depends_on=list(depends_on),
            aliases=[f"{urn}$command:local:Command::{name}"],
        )
        return nodectl(name, self._node, verb, stdin, opts, delete=delete)


def _install_input(args: NodeDeploymentArgs) -> pulumi.Input[str]:
    """Return the spec; with secrets, which hide it in previews, only where a model is downloaded."""
    model = args.runtime.model
    if model is None or model.kind != "hub" or not args.secrets:
        return codec.written(args.runtime)
    return pulumi.Output.secret(codec.written(InstallSpec.of(args.runtime, args.secrets)))
