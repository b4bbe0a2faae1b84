"""Nodes of the target `aws`: an instance each, reached through the head or by Session Manager."""

from collections.abc import Awaitable, Mapping
from typing import Any, cast

import pulumi
import pulumi_command as command

import planning
from components.aws.fleet import Fleet, FleetArgs
from components.aws.labels import Labels
from components.node import HOST_ROOT, Node
from components.nodectl import PYTHON
from planning.aws.target import required_aws_target
from planning.nodes.idle_stop import in_a_block
from planning.values import Plan
from remote import aws_access, bundle
from settings.aws.target import AwsTarget


def aws_nodes(plan: Plan, addresses: Mapping[str, str], owner: str, ends: str | None = None) -> list[Node]:
    """Return the plan's nodes on instances of their own, behind addresses that planning chose.

    `owner` is the digest of the state that they belong to (`planning.aws.state`). `ends` is when their
    capacity block ends; None where they are in none, or the account did not say.
    """
    target = required_aws_target(plan.settings)
    labels = Labels(pulumi.get_project(), pulumi.get_stack(), owner, target.tags)
    fleet = Fleet(pulumi.get_stack(), FleetArgs(plan, target, addresses, labels))
    access = _AccessWriter(fleet, plan, target)
    nodes = [_node(node.name, addresses[node.name], access, plan, target) for node in plan.nodes]
    block_nodes = [node.name for node in nodes if in_a_block(plan, node.name)]
    end = _end(target, ends, fleet) if block_nodes else None
    return [node._replace(ends=end) if node.name in block_nodes else node for node in nodes]


def _end(target: AwsTarget, ends: str | None, fleet: Fleet) -> str | pulumi.Output[str]:
    """Return when the capacity block ends: as the account says, or said last, which state remembers."""
    opts = pulumi.ResourceOptions(parent=fleet, ignore_changes=[] if ends else ["stdin"])
    end_command = command.local.Command(
        "capacity-end",
        create="cat",
        stdin=ends or "",
        triggers=[target.purchase.reservation_id],
        opts=opts,
    )
    return ends or end_command.stdout


def _node(name: str, address: str, access: "_AccessWriter", plan: Plan, target: AwsTarget) -> Node:
    folder = str(aws_access.folder_of(pulumi.get_stack()))
    destination = ("--name", name, "--host", address, "--user", target.ami.user, "--access", folder)
    return Node(
        name,
        address,
        nodectl=(
            *(PYTHON, "-S", "-m", "remote", *destination),
            *("--release", bundle.digest(), "--", planning.installed(plan, name).environment),
        ),
        undo=None,
        identity=access.written(name),
        root=f"{HOST_ROOT}/{pulumi.get_stack()}/{name}",
        here=False,
        public=access.public if name == plan.head else None,
    )


class _AccessWriter:
    """The folder by which nodes are reached, written as instances come to be."""

    def __init__(self, fleet: Fleet, plan: Plan, target: AwsTarget) -> None:
        self._fleet, self._target, self._head = fleet, target, plan.head
        self._folder = aws_access.folder_of(pulumi.get_stack())
        self._before = None if pulumi.runtime.is_dry_run() else aws_access.read_access(self._folder)
        self._instances: dict[str, str] = {}
        self._since: dict[str, float] = {}
        self.public = fleet.public

    def written(self, name: str) -> pulumi.Output[str]:
        """Return the id of the node's instance, in an update once the folder says how it is reached.

        A preview writes nothing and looks at nothing else: an instance that is replaced is unknown there, and
        changes nothing of other nodes.
        """
        instance = self._fleet.machines[name].instance
        if pulumi.runtime.is_dry_run():
            return instance
        inputs = pulumi.Output.all(
            name=name,
            instance=instance,
            # also for the others: their commands go through it, so they wait until it has a successor
            head=self._fleet.machines[self._head].instance,
            public=self.public,
            associated=self._fleet.associated,
            key=self._fleet.keys.login,
            host_key=self._fleet.keys.host_public,
        )
        instance_id = inputs.apply(self._write).future()
        # It waits for all of that and depends on its own instance alone: what depends on the head's would be
        # replaced with it.
        return pulumi.Output(instance.resources(), cast("Awaitable[str]", instance_id), instance.is_known())

    def _write(self, values: Mapping[str, Any]) -> str:
        for name, instance in ((self._head, values["head"]), (values["name"], values["instance"])):
            self._instances[name] = instance
            self._since.setdefault(name, aws_access.running_since(self._before, name, instance))
        ssm, public = self._target.access == "ssm", values["public"]
        route = aws_access.FleetAccess(
            region=self._target.region or "",
            ssm=ssm,
            bastion=f"{self._target.ami.user}@{public}" if public and not ssm else None,
            head=self._head,
            profile=pulumi.Config("aws").get("profile"),
            instances=self._instances,
            since=self._since,
        )
        key = values["key"] and aws_access.private_part(values["key"])
        aws_access.write_access(self._folder, route, key=key, host_key=values["host_key"])
        return str(values["instance"])
