"""The launch template of an instance, with all that it starts with: EFA interfaces can be nowhere else."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import pulumi

from planning.aws.capacity import Capacity
from planning.aws.launch import Launch
from settings.aws.target import AwsTarget

HOPS: Final = 2
"""Of the answers of the metadata service: what runs in a container is one hop further away."""


@dataclass(frozen=True)
class TemplateArgs:
    """Arguments of `template_inputs` and `inputs_beside`: the content of a launch template."""

    target: AwsTarget
    launch: Launch
    image: pulumi.Input[str]
    root_device: pulumi.Input[str]
    """Device name of the image's root volume."""
    key_pair: pulumi.Input[str]
    profile: pulumi.Input[str]
    user_data: pulumi.Output[str]
    """Of a machine without a deadline; a secret: the host key is in it."""
    first_boot: pulumi.Output[str]
    """The user data that it boots with: with the deadline, which may change without another machine."""
    tags: Mapping[str, str]
    """Of the interfaces that the launch makes; those of the instance are its own."""
    placement_group: pulumi.Input[str] | None
    primary: pulumi.Input[str]
    """Id of the primary interface."""
    subnet: pulumi.Input[str]
    """Subnet of all other interfaces."""
    cluster: pulumi.Input[str]
    """The security group that they are in."""


def template_inputs(args: TemplateArgs) -> dict[str, Any]:
    """Return the arguments of a launch template that decide what an instance is; its tags do not.

    Tags of what is launched are the instance's own: here a changed tag would replace machines.
    """
    inputs: dict[str, Any] = {
        "image_id": args.image,
        "instance_type": args.launch.instance_type,
        "key_name": args.key_pair,
        "iam_instance_profile": {"name": args.profile},
        "user_data": pulumi.Output.secret(args.user_data.apply(_encoded)),
        "metadata_options": {
            "http_endpoint": "enabled",
            "http_tokens": "required",
            "http_put_response_hop_limit": HOPS,
        },
        "block_device_mappings": [_root(args)],
        "network_interfaces": _interfaces(args),
        "instance_initiated_shutdown_behavior": args.target.lifetime.action,
        **_bought(args.launch.capacity),
    }
    if args.launch.capacity.grouped and args.placement_group is not None:
        inputs["placement"] = {"group_name": args.placement_group}
    return inputs


def inputs_beside(args: TemplateArgs) -> dict[str, Any]:
    """Return the arguments that go over those and replace no machine: they matter to the next one alone."""
    inputs: dict[str, Any] = {"user_data": pulumi.Output.secret(args.first_boot.apply(_encoded))}
    if len(args.launch.interfaces) > 1:
        inputs["tag_specifications"] = [{"resource_type": "network-interface", "tags": dict(args.tags)}]
    return inputs


def _root(args: TemplateArgs) -> dict[str, Any]:
    target = args.target
    disk = {
        "volume_type": "gp3",
        "volume_size": target.volume.size_gib,
        "iops": target.volume.iops,
        "throughput": target.volume.throughput,
        "encrypted": "true",
        "delete_on_termination": "true",
    }
    if target.kms_key_id is not None:
        disk["kms_key_id"] = target.kms_key_id
    return {"device_name": args.root_device, "ebs": disk}


def _interfaces(args: TemplateArgs) -> list[dict[str, Any]]:
    """Return the primary interface, which outlives the instance, and those that come and go with it."""
    interfaces: list[dict[str, Any]] = []
    for interface in args.launch.interfaces:
        position: dict[str, Any] = {"device_index": interface.device, "network_card_index": interface.card}
        if interface.kind == "interface":
            interfaces.append(
                {**position, "network_interface_id": args.primary, "delete_on_termination": "false"}
            )
        else:
            attachment: dict[str, Any] = {"subnet_id": args.subnet, "security_groups": [args.cluster]}
            interfaces.append(
                {**position, "interface_type": interface.kind, **attachment, "delete_on_termination": "true"}
            )
    return interfaces


def _bought(capacity: Capacity) -> dict[str, Any]:
    """Return how capacity is paid for, and from which reservation it comes."""
    inputs: dict[str, Any] = {}
    if capacity.market is not None:
        market: dict[str, Any] = {"market_type": capacity.market}
        if capacity.market == "spot":
            spot_options = {"spot_instance_type": "one-time", "instance_interruption_behavior": "terminate"}
            market["spot_options"] = spot_options
        inputs["instance_market_options"] = market
    if capacity.reservation is not None:
        reservation_target = {"capacity_reservation_id": capacity.reservation}
        inputs["capacity_reservation_specification"] = {"capacity_reservation_target": reservation_target}
    return inputs


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
