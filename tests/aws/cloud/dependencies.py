"""Dependencies that keep EC2 from deleting a resource, most of which moto ignores."""

from collections.abc import Iterable
from typing import Any

from tests.aws.cloud.refusals import Backend, refuse


def network_interface(backend: Backend, eni: Any) -> None:
    """Refuse to delete an interface that is attached."""
    if eni.instance is not None:
        refuse("InvalidNetworkInterface.InUse", f"Network interface '{eni.id}' is currently in use.")


def security_group(backend: Backend, group_id: str) -> None:
    """Refuse to delete a group that an interface is in, or that another group's rule names."""
    used = any(group_id in (group.id for group in eni.group_set) for eni in backend.enis.values())
    if used or group_id in _named_by_others(backend, group_id):
        refuse("DependencyViolation", f"resource {group_id} has a dependent object")


def _named_by_others(backend: Backend, group_id: str) -> Iterable[str]:
    for group in backend.describe_security_groups():
        if group.id != group_id:
            for rule in [*group.ingress_rules, *group.egress_rules]:
                yield str(rule.source_group.get("GroupId"))


def subnet(backend: Backend, subnet_id: str) -> None:
    """Refuse to delete a subnet with interfaces in it, those of NAT gateways and endpoints among them."""
    if any(eni.subnet.id == subnet_id for eni in backend.enis.values()):
        refuse("DependencyViolation", f"The subnet '{subnet_id}' has dependencies and cannot be deleted.")


def internet_gateway(backend: Backend, vpc_id: str) -> None:
    """Refuse to detach a gateway while public addresses lead to the VPC."""
    gateways = {
        gateway.id
        for gateway in backend.nat_gateways.values()
        if gateway.vpc_id == vpc_id and _lives(gateway)
    }
    led = [
        address for address in backend.addresses if address.eni is not None and address.eni.vpc_id == vpc_id
    ]
    if led or gateways:
        refuse(
            "DependencyViolation",
            f"Network {vpc_id} has some mapped public address(es). Please unmap those before detaching the "
            "gateway.",
        )


def elastic_address(backend: Backend, allocation_id: str | None) -> None:
    """Refuse to release an address that something has."""
    for address in backend.addresses:
        if address.allocation_id == allocation_id and (
            address.eni is not None or _of_gateway(backend, address)
        ):
            refuse("InvalidIPAddress.InUse", f"Address {address.public_ip} is in use.")


def _of_gateway(backend: Backend, address: Any) -> bool:
    held = [
        address
        for gateway in backend.nat_gateways.values()
        if _lives(gateway)
        for address in gateway.address_set
    ]
    return any(entry.get("allocationId") == address.allocation_id for entry in held)


def vpc(backend: Backend, vpc_id: str) -> None:
    """Refuse to delete a VPC with a gateway, an endpoint or a security group of its own."""
    attached = [
        gateway for gateway in backend.internet_gateways.values() if gateway.vpc and gateway.vpc.id == vpc_id
    ]
    groups = [group for group in backend.describe_security_groups() if group.vpc_id == vpc_id]
    endpoints = [
        endpoint
        for endpoint in backend.vpc_end_points.values()
        if endpoint.vpc_id == vpc_id and _lives(endpoint)
    ]
    if attached or endpoints or any(group.name != "default" for group in groups):
        refuse("DependencyViolation", f"The vpc '{vpc_id}' has dependencies and cannot be deleted.")


def placement_group(backend: Backend, name: str) -> None:
    """Refuse to delete a placement group with instances in it."""
    if any(instance.placement.group_name == name for instance in backend.all_running_instances()):
        refuse(
            "InvalidPlacementGroup.InUse", f"The placement group '{name}' is in use and may not be deleted."
        )


def _lives(thing: Any) -> bool:
    return str(thing.state) not in ("deleted", "deleting")
