"""One node: its network interface, which keeps its address, and its instance, which may come and go."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
from pulumi_aws import ec2

from components.aws.labels import Labels, Role

CREATE_MINUTES: Final = 15
"""Bound on the start of an instance; one with eight GPUs takes a few minutes until EC2 says that it runs."""

NEWEST: Final = "$Latest"
"""Of the node's own template. A number would be unknown in previews that only change the template's tags."""

DECIDED_BY_THE_DIGEST: Final = ["launchTemplate.version", "placementGroup"]
"""Properties whose change alone replaces nothing: the digest of the template's content does.

A refresh writes the version that runs in place of NEWEST once the template has a newer one, such as one with
other tags. And instances of earlier releases say no placement group themselves.
"""

WITH_THE_HOST_KEY: Final = ["userData", "userDataBase64"]
"""Outputs that the provider fills with what EC2 has, in clear, also where the launch template gave it."""


@dataclass(frozen=True)
class AddressArgs:
    """Arguments of `Address`."""

    address: str
    subnet: pulumi.Input[str]
    groups: Sequence[pulumi.Input[str]]
    public: bool
    """Whether it gets an Elastic IP as well, as the head does."""
    role: Role
    labels: Labels
    routes: Sequence[pulumi.Resource]
    """Routes to the internet: EC2 associates no Elastic IP before."""


class Address(pulumi.ComponentResource):
    """A node's address: a network interface that stays when its instance is replaced."""

    interface: pulumi.Output[str]
    """Id of the network interface."""
    public: pulumi.Output[str] | None
    """The public address, where there is one."""
    associated: list[ec2.EipAssociation]

    def __init__(self, name: str, args: AddressArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:aws:Address", name, None, opts)
        child, tags = pulumi.ResourceOptions(parent=self), args.labels.of(name, args.role)
        primary = ec2.NetworkInterface(
            name,
            description=f"primary interface of {name}",
            subnet_id=args.subnet,
            private_ips=[args.address],
            security_groups=args.groups,
            tags=tags,
            opts=child,
        )
        self.interface, self.public, self.associated = primary.id, None, []
        if args.public:
            # named after its use: it stays the head's when another node becomes the head
            elastic_ip = ec2.Eip("head", domain="vpc", tags=args.labels.of("head", args.role), opts=child)
            association = ec2.EipAssociation(
                "head",
                allocation_id=elastic_ip.id,
                network_interface_id=primary.id,
                # an address that is associated is not associated anew
                opts=pulumi.ResourceOptions(
                    parent=self, depends_on=list(args.routes), delete_before_replace=True
                ),
            )
            self.public, self.associated = elastic_ip.public_ip, [association]
        self.register_outputs({"interface": self.interface, "public": self.public})


@dataclass(frozen=True)
class MachineArgs:
    """Arguments of `Machine`. `after` must be there before the instance boots."""

    template: Mapping[str, Any]
    """Arguments of the launch template that decide what the instance is (`components.aws.template`)."""
    more: Mapping[str, Any]
    """Further arguments of its launch template, which replace no machine when they change."""
    placement_group: pulumi.Input[str] | None
    """Said on the instance, too: the provider sends a placement of its own beside a launch template."""
    role: Role
    labels: Labels
    after: Sequence[pulumi.Resource]
    subnet: pulumi.Resource | None
    """It cannot be replaced while the instance is in it, and so takes the instance along first."""


class Machine(pulumi.ComponentResource):
    """An instance, replaced when what it is launched with changes, and only then."""

    instance: pulumi.Output[str]
    """Id of the instance."""

    def __init__(self, name: str, args: MachineArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:aws:Machine", name, None, opts)
        child, tags = pulumi.ResourceOptions(parent=self), args.labels.of(name, args.role)
        template = ec2.LaunchTemplate(
            name, **{**args.template, **args.more}, update_default_version=True, tags=tags, opts=child
        )
        content = pulumi.Output.json_dumps(dict(args.template), sort_keys=True).apply(_digest)
        instance = ec2.Instance(
            name,
            launch_template={"id": template.id, "version": NEWEST},
            placement_group=args.placement_group,
            tags=tags,
            volume_tags=tags,
            opts=pulumi.ResourceOptions(
                parent=self,
                depends_on=list(args.after),
                # its address and its slot of a reservation are free only once the old one is gone
                delete_before_replace=True,
                replacement_trigger=pulumi.Output.unsecret(content),
                ignore_changes=DECIDED_BY_THE_DIGEST,
                additional_secret_outputs=WITH_THE_HOST_KEY,
                replace_with=[args.subnet] if args.subnet else [],
                custom_timeouts=pulumi.CustomTimeouts(create=f"{CREATE_MINUTES}m"),
            ),
        )
        self.instance = instance.id
        self.register_outputs({"instance": self.instance})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
