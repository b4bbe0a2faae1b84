"""Queries about networks: the routes of an existing subnet, its addresses in use, and VPCs."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from account.fleet import Fleet, tags_in
from account.responses import Interface, Route, Routes, VpcCount

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import RouteTableTypeDef, RouteTypeDef

_TARGETS: Final = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "VpcPeeringConnectionId",
    "NetworkInterfaceId",
    "InstanceId",
    "CarrierGatewayId",
    "LocalGatewayId",
    "CoreNetworkArn",
)
"""Fields of a route that name its target."""


def routes_of(ec2: "EC2Client", subnet: str, vpc: str) -> Routes | None:
    """Return the routes of a subnet: of its own route table, else of the VPC's main table."""
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    explicit = [
        table
        for table in tables
        if any(association.get("SubnetId") == subnet for association in _associations(table))
    ]
    main = [table for table in tables if any(association.get("Main") for association in _associations(table))]
    for table in (*explicit, *main):
        routes = table["Routes"]
        has_prefix_lists = any(
            "DestinationPrefixListId" in route and not _is_endpoint(route) for route in routes
        )
        return Routes(table["RouteTableId"], tuple(_ipv4(routes)), has_prefix_lists)
    return None


def interfaces_in(ec2: "EC2Client", subnet: str, fleet: Fleet) -> tuple[Interface, ...]:
    """Return the interfaces in a subnet that do not belong to the stack."""
    pages = ec2.get_paginator("describe_network_interfaces").paginate(
        Filters=[{"Name": "subnet-id", "Values": [subnet]}]
    )
    return tuple(
        Interface(interface["NetworkInterfaceId"], address["PrivateIpAddress"])
        for page in pages
        for interface in page["NetworkInterfaces"]
        if not fleet.owns(tags_in(interface.get("TagSet", [])))
        for address in interface.get("PrivateIpAddresses", [])
        if "PrivateIpAddress" in address
    )


def vpcs(ec2: "EC2Client", fleet: Fleet) -> VpcCount:
    """Count the VPCs of the region: the stack's own, and others."""
    pages = ec2.get_paginator("describe_vpcs").paginate()
    owned = [fleet.owns(tags_in(vpc.get("Tags", []))) for page in pages for vpc in page["Vpcs"]]
    return VpcCount(own=sum(owned), foreign=len(owned) - sum(owned))


def _ipv4(routes: "list[RouteTypeDef]") -> Iterator[Route]:
    for entry in routes:
        if destination := entry.get("DestinationCidrBlock"):
            targets = (value for key, value in entry.items() if key in _TARGETS and value)
            yield Route(destination, str(next(targets, "")), entry.get("State") != "blackhole")


def _associations(table: "RouteTableTypeDef") -> "list[dict[str, object]]":
    return [dict(association) for association in table.get("Associations", [])]


def _is_endpoint(route: "RouteTypeDef") -> bool:
    return route.get("GatewayId", "").startswith("vpce-")
