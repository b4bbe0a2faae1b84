"""Questions about networks: the routes of an existing subnet, what addresses in it are taken, VPCs."""

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
"""Fields of a route that name what it leads to."""


def routes_of(ec2: "EC2Client", subnet: str, vpc: str) -> Routes | None:
    """Return the routes of a subnet: those of its own table, else of the VPC's main one."""
    tables = ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [vpc]}])["RouteTables"]
    own = [table for table in tables if any(said.get("SubnetId") == subnet for said in _associated(table))]
    main = [table for table in tables if any(said.get("Main") for said in _associated(table))]
    for table in (*own, *main):
        found = table["Routes"]
        lists = any("DestinationPrefixListId" in each and not _is_endpoint(each) for each in found)
        return Routes(table["RouteTableId"], tuple(_ipv4(found)), lists)
    return None


def interfaces_in(ec2: "EC2Client", subnet: str, fleet: Fleet) -> tuple[Interface, ...]:
    """Return the interfaces of others in a subnet: not those of the stack."""
    pages = ec2.get_paginator("describe_network_interfaces").paginate(
        Filters=[{"Name": "subnet-id", "Values": [subnet]}]
    )
    return tuple(
        Interface(each["NetworkInterfaceId"], said["PrivateIpAddress"])
        for page in pages
        for each in page["NetworkInterfaces"]
        if not fleet.owns(tags_in(each.get("TagSet", [])))
        for said in each.get("PrivateIpAddresses", [])
        if "PrivateIpAddress" in said
    )


def vpcs(ec2: "EC2Client", fleet: Fleet) -> VpcCount:
    """Return how many VPCs the region has: the stack's, and others."""
    pages = ec2.get_paginator("describe_vpcs").paginate()
    found = [fleet.owns(tags_in(each.get("Tags", []))) for page in pages for each in page["Vpcs"]]
    return VpcCount(ours=sum(found), others=len(found) - sum(found))


def _ipv4(routes: "list[RouteTypeDef]") -> Iterator[Route]:
    for each in routes:
        if where := each.get("DestinationCidrBlock"):
            targets = (value for key, value in each.items() if key in _TARGETS and value)
            yield Route(where, str(next(targets, "")), each.get("State") != "blackhole")


def _associated(table: "RouteTableTypeDef") -> "list[dict[str, object]]":
    return [dict(said) for said in table.get("Associations", [])]


def _is_endpoint(route: "RouteTypeDef") -> bool:
    return route.get("GatewayId", "").startswith("vpce-")
