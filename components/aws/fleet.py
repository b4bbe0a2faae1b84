"""All that the target `aws` creates for a plan, in the order in which it comes to be."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2

from components.aws.endpoints import Endpoints, EndpointsArgs
from components.aws.groups import SecurityGroups, SecurityGroupsArgs
from components.aws.image import image, root_device
from components.aws.keys import StackKeys, StackKeysArgs
from components.aws.labels import Labels, Role
from components.aws.machine import Address, AddressArgs, Machine, MachineArgs
from components.aws.network import Network, NetworkArgs, Place
from components.aws.profile import Profile, ProfileArgs
from components.aws.template import TemplateArgs, inputs_beside, template_inputs
from nodectl.contract.manifest import Lifetime
from planning.aws.capacity import own_group
from planning.aws.groups import ENDPOINT_GROUP, groups_of
from planning.aws.launch import launch
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


class Fleet(pulumi.ComponentResource):
    """The network, the keys and an instance for each node."""

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
        colocated = args.plan.settings.head.placement == "colocated"
        self._planned = network(args.target, colocated=colocated)
        self._ready: list[pulumi.Resource] = []
        self._place = self._network(name)
        self.keys = StackKeys(name, StackKeysArgs(args.target.key_pair, args.labels), self._child)
        self._profile = self._instance_profile(name)
        self._image = image(args.target.ami, self._planned.region, self._child)
        self._root_device = root_device(args.target.ami, self._child)
        self._close = self._placement_group(name)
        addresses = {node.name: self._address(node) for node in args.plan.nodes}
        self.machines = {node.name: self._machine(node, addresses[node.name]) for node in args.plan.nodes}
        head = addresses[args.plan.head]
        self.public = head.public
        self.associated = head.associated[0].id if head.associated else None
        self.register_outputs({"public": self.public})

    def _network(self, name: str) -> Place:
        """Create what instances are in, or find it; it is ready when all ways and rules are there."""
        args, planned = self._args, self._planned
        given, tables = args.target.network, []
        if given.vpc_id is not None and given.subnet_id is not None:
            place = Place(given.vpc_id, given.subnet_id, given.subnet_id, [], None, None)
        else:
            made = Network(name, NetworkArgs(planned, args.labels), self._child)
            place, tables = made.place, made.tables
        groups = SecurityGroups(name, SecurityGroupsArgs(args.plan, place.vpc, args.labels), self._child)
        self._groups = groups.ids
        self._ready += [*place.ways, *groups.rules]
        if tables:
            group = groups.ids[ENDPOINT_GROUP]
            asked = EndpointsArgs(planned, place, group, tables, args.labels)
            self._ready += Endpoints(name, asked, self._child).all
        return place

    def _instance_profile(self, name: str) -> pulumi.Input[str]:
        args = self._args
        if args.target.instance_profile is not None:
            return args.target.instance_profile
        made = Profile(name, ProfileArgs(args.plan, args.target, args.labels), self._child)
        self._ready += made.rights
        return made.profile

    def _placement_group(self, name: str) -> pulumi.Input[str] | None:
        if not own_group(self._args.target):
            return self._args.target.placement_group
        tags = self._args.labels.of("close")
        return ec2.PlacementGroup(name, strategy="cluster", tags=tags, opts=self._child).name

    def _subnet(self, node: Node) -> pulumi.Input[str]:
        return self._place.cluster if node.gpus else self._place.public

    def _address(self, node: Node) -> Address:
        args = self._args
        return Address(
            node.name,
            AddressArgs(
                address=args.addresses[node.name],
                subnet=self._subnet(node),
                groups=[self._groups[group] for group in groups_of(args.plan, node.name)],
                public=node.head and self._planned.public_head,
                role=_role(node),
                labels=args.labels,
                ways=self._place.ways,
            ),
            self._child,
        )

    def _machine(self, node: Node, address: Address) -> Machine:
        target, labels, role = self._args.target, self._args.labels, _role(node)
        template = TemplateArgs(
            target=target,
            launch=launch(target, node),
            image=self._image,
            root_device=self._root_device,
            key_pair=self.keys.pair,
            profile=self._profile,
            user_data=self._user_data(None),
            first_boot=self._user_data(first_boot(self._args.plan.settings)),
            tags=labels.of(node.name, role),
            placement_group=self._close,
            primary=address.interface,
            subnet=self._subnet(node),
            cluster=self._groups["cluster"],
        )
        args = MachineArgs(
            template=template_inputs(template),
            more=inputs_beside(template),
            placement_group=self._close if template.launch.capacity.grouped else None,
            role=role,
            labels=labels,
            after=[*self._ready, *address.associated],
            within=self._place.cluster_made if node.gpus else self._place.public_made,
        )
        return Machine(node.name, args, self._child)

    def _user_data(self, deadline: Lifetime | None) -> pulumi.Output[str]:
        return pulumi.Output.all(self.keys.host_private, self.keys.host_public).apply(
            lambda pair: user_data(*pair, deadline=deadline)
        )


def _role(node: Node) -> Role:
    return "head" if node.head else "worker"
