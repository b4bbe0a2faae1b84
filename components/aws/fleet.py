"""All that the target `aws` creates for a plan, in the order in which it comes to be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pulumi
from pulumi_aws import ec2

from components.aws.endpoints import Endpoints, EndpointsArgs
from components.aws.groups import SecurityGroups, SecurityGroupsArgs
from components.aws.image import image, root_device
from components.aws.keys import StackKeys, StackKeysArgs
from components.aws.labels import Labels, Role
from components.aws.machine import Address, AddressArgs, Machine, MachineArgs
from components.aws.network import Network, NetworkArgs, Subnets
from components.aws.profile import Profile, ProfileArgs
from components.aws.template import TemplateArgs, inputs_beside, template_inputs
from nodectl.contract.runtime import Lifetime
from planning.aws.capacity import own_group
from planning.aws.groups import ENDPOINT_GROUP, groups_of
from planning.aws.launch import launch
from planning.aws.network import Network as PlannedNetwork
from planning.aws.network import network
from planning.aws.userdata import user_data
from planning.nodes.idle_stop import first_boot
from planning.values import Node, Plan
from settings.aws.target import AwsTarget


@dataclass(frozen=True)
class FleetArgs:
    """Arguments of `Fleet`. `addresses` maps the names of nodes to where planning puts them."""

    plan: Plan
    target: AwsTarget
    addresses: Mapping[str, str]
    labels: Labels


class _Surroundings(NamedTuple):
    """Network, subnets and security groups that instances are in."""

    network: PlannedNetwork
    subnets: Subnets
    groups: Mapping[str, pulumi.Output[str]]
    """Ids of the security groups by their names."""
    ready: Sequence[pulumi.Resource]
    """Resources that must exist before an instance boots."""


class _Launch(NamedTuple):
    """Launch parameters that all instances share."""

    image: pulumi.Input[str]
    root_device: pulumi.Input[str]
    profile: pulumi.Input[str]
    placement_group: pulumi.Input[str] | None
    ready: Sequence[pulumi.Resource]
    """Resources that must exist before an instance boots."""


class Fleet(pulumi.ComponentResource):
    """The network, the keys and an instance for each node.

    Creates `Network` unless one is given, `SecurityGroups`, `Endpoints`, `StackKeys`, `Profile` unless one is
    given, a placement group where capacity has none, and an `Address` and a `Machine` for each node.
    """

    machines: Mapping[str, Machine]
    """By the nodes' names."""
    public: pulumi.Output[str] | None
    """The head's public address, where it has one."""
    associated: pulumi.Output[str] | None
    """Known once that address leads to the head."""
    keys: StackKeys

    def __init__(self, name: str, args: FleetArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:aws:Fleet", name, None, opts)
        self._args, self._child = args, pulumi.ResourceOptions(parent=self)
        surroundings = _surroundings(name, args, self._child)
        self.keys = StackKeys(name, StackKeysArgs(args.target.key_pair, args.labels), self._child)
        launch_inputs = _launch(name, args, surroundings.network.region, self._child)
        addresses = {node.name: self._address(node, surroundings) for node in args.plan.nodes}
        self.machines = {
            node.name: self._machine(node, addresses[node.name], surroundings, launch_inputs)
            for node in args.plan.nodes
        }
        head = addresses[args.plan.head]
        self.public = head.public
        self.associated = head.associated[0].id if head.associated else None
        self.register_outputs({"public": self.public})

    def _address(self, node: Node, surroundings: _Surroundings) -> Address:
        args = self._args
        return Address(
            node.name,
            AddressArgs(
                address=args.addresses[node.name],
                subnet=_subnet(node, surroundings.subnets),
                groups=[surroundings.groups[group] for group in groups_of(args.plan, node.name)],
                public=node.head and surroundings.network.public_head,
                role=_role(node),
                labels=args.labels,
                routes=surroundings.subnets.routes,
            ),
            self._child,
        )

    def _machine(
        self, node: Node, address: Address, surroundings: _Surroundings, launch_inputs: _Launch
    ) -> Machine:
        target, labels, role = self._args.target, self._args.labels, _role(node)
        template = TemplateArgs(
            target=target,
            launch=launch(target, node),
            image=launch_inputs.image,
            root_device=launch_inputs.root_device,
            key_pair=self.keys.pair,
            profile=launch_inputs.profile,
            user_data=_user_data(self.keys, None),
            first_boot=_user_data(self.keys, first_boot(self._args.plan.settings)),
            tags=labels.of(node.name, role),
            placement_group=launch_inputs.placement_group,
            primary=address.interface,
            subnet=_subnet(node, surroundings.subnets),
            cluster=surroundings.groups["cluster"],
        )
        return Machine(
            node.name,
            MachineArgs(
                template=template_inputs(template),
                more=inputs_beside(template),
                placement_group=launch_inputs.placement_group if template.launch.capacity.grouped else None,
                role=role,
                labels=labels,
                after=[*surroundings.ready, *launch_inputs.ready, *address.associated],
                subnet=surroundings.subnets.cluster_subnet
                if node.gpus
                else surroundings.subnets.public_subnet,
            ),
            self._child,
        )


def _surroundings(name: str, args: FleetArgs, child: pulumi.ResourceOptions) -> _Surroundings:
    """Create what instances are in, or find it; it is ready when all routes and rules are there."""
    planned_network = network(args.target, colocated=args.plan.settings.head.placement == "colocated")
    existing_network, tables = args.target.network, []
    if existing_network.vpc_id is not None and existing_network.subnet_id is not None:
        subnets = Subnets(
            existing_network.vpc_id, existing_network.subnet_id, existing_network.subnet_id, [], None, None
        )
    else:
        stack_network = Network(name, NetworkArgs(planned_network, args.labels), child)
        subnets, tables = stack_network.subnets, stack_network.tables
    groups = SecurityGroups(name, SecurityGroupsArgs(args.plan, subnets.vpc, args.labels), child)
    ready = [*subnets.routes, *groups.rules]
    if tables:
        endpoints_args = EndpointsArgs(
            planned_network, subnets, groups.ids[ENDPOINT_GROUP], tables, args.labels
        )
        ready += Endpoints(name, endpoints_args, child).all
    return _Surroundings(planned_network, subnets, groups.ids, ready)


def _launch(name: str, args: FleetArgs, region: str, child: pulumi.ResourceOptions) -> _Launch:
    profile, rights = _profile(name, args, child)
    return _Launch(
        image(args.target.ami, region, child),
        root_device(args.target.ami, child),
        profile,
        _placement_group(name, args, child),
        rights,
    )


def _profile(
    name: str, args: FleetArgs, child: pulumi.ResourceOptions
) -> tuple[pulumi.Input[str], Sequence[pulumi.Resource]]:
    """Return the name of the instance profile, and what gives it its rights."""
    if args.target.instance_profile is not None:
        return args.target.instance_profile, []
    profile = Profile(name, ProfileArgs(args.plan, args.target, args.labels), child)
    return profile.profile, profile.rights


def _placement_group(name: str, args: FleetArgs, child: pulumi.ResourceOptions) -> pulumi.Input[str] | None:
    if not own_group(args.target):
        return args.target.placement_group
    return ec2.PlacementGroup(name, strategy="cluster", tags=args.labels.of("close"), opts=child).name


def _subnet(node: Node, subnets: Subnets) -> pulumi.Input[str]:
    return subnets.cluster if node.gpus else subnets.public


def _user_data(keys: StackKeys, deadline: Lifetime | None) -> pulumi.Output[str]:
    return pulumi.Output.all(keys.host_private, keys.host_public).apply(
        lambda pair: user_data(*pair, deadline=deadline)
    )


def _role(node: Node) -> Role:
    return "head" if node.head else "worker"
