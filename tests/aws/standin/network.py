"""The types of a network: VPC, subnets, gateways, routes, addresses, interfaces, endpoints."""

import hashlib
from collections.abc import Iterable, Mapping
from typing import Any, Final

from tests.aws.standin.kinds import Account, Kind, Properties, changed, given, refuse_changes
from tests.aws.standin.things import Thing

_DOCS: Final = "terraform-provider-aws: internal/service/ec2/{}, ForceNew"


def _switch(account: Account, attribute: str, vpc: str, value: Any) -> None:
    account.ec2.modify_vpc_attribute(VpcId=vpc, **{attribute: {"Value": bool(value)}})


_SWITCHES: Final = {"enableDnsSupport": "EnableDnsSupport", "enableDnsHostnames": "EnableDnsHostnames"}


def _vpc_made(account: Account, identity: str, inputs: Properties) -> None:
    for key, attribute in _SWITCHES.items():
        if key in inputs:
            _switch(account, attribute, identity, inputs[key])


def _vpc_changed(account: Account, identity: str, old: Properties, new: Properties) -> None:
    for key, attribute in _SWITCHES.items():
        if changed(old, new, key):
            _switch(account, attribute, identity, new.get(key, key == "enableDnsSupport"))


def _vpc_more(account: Account, described: Mapping[str, Any], state: Properties) -> Properties:
    def value(attribute: str, key: str) -> bool:
        answer = account.ec2.describe_vpc_attribute(VpcId=described["VpcId"], Attribute=attribute)
        return bool(answer[key]["Value"])

    return {key: value(key, attribute) for key, attribute in _SWITCHES.items()}


VPC: Final = Thing(
    "vpc",
    id="VpcId",
    inputs={"cidrBlock": "CidrBlock"},
    extra=frozenset(_SWITCHES),
    after=_vpc_made,
    changes=_vpc_changed,
    more=_vpc_more,
    replaces=frozenset({"cidrBlock"}),
    source=_DOCS.format("vpc_.go"),
)


def _detach(account: Account, identity: str, state: Properties) -> None:
    if state.get("vpcId"):
        account.ec2.detach_internet_gateway(InternetGatewayId=identity, VpcId=state["vpcId"])


def _attach(account: Account, identity: str, inputs: Properties) -> None:
    if inputs.get("vpcId"):
        account.ec2.attach_internet_gateway(InternetGatewayId=identity, VpcId=inputs["vpcId"])


def _move(account: Account, identity: str, old: Properties, new: Properties) -> None:
    _detach(account, identity, old)
    _attach(account, identity, new)


INTERNET_GATEWAY: Final = Thing(
    "internet_gateway",
    id="InternetGatewayId",
    inputs={},
    extra=frozenset({"vpcId"}),
    after=_attach,
    before=_detach,
    changes=_move,
    more=lambda _account, described, _state: {
        "vpcId": next((attachment["VpcId"] for attachment in described["Attachments"]), "")
    },
    source=_DOCS.format("vpc_internet_gateway.go"),
)


def _subnet_made(account: Account, identity: str, inputs: Properties) -> None:
    if inputs.get("mapPublicIpOnLaunch"):
        _subnet_changed(account, identity, {}, inputs)


def _subnet_changed(account: Account, identity: str, old: Properties, new: Properties) -> None:
    public = {"Value": bool(new.get("mapPublicIpOnLaunch"))}
    account.ec2.modify_subnet_attribute(SubnetId=identity, MapPublicIpOnLaunch=public)


SUBNET: Final = Thing(
    "subnet",
    id="SubnetId",
    inputs={"vpcId": "VpcId", "cidrBlock": "CidrBlock", "availabilityZone": "AvailabilityZone"},
    outputs={"mapPublicIpOnLaunch": "MapPublicIpOnLaunch", "availabilityZoneId": "AvailabilityZoneId"},
    extra=frozenset({"mapPublicIpOnLaunch"}),
    after=_subnet_made,
    changes=_subnet_changed,
    replaces=frozenset({"vpcId", "cidrBlock", "availabilityZone"}),
    source=_DOCS.format("vpc_subnet.go"),
)


ELASTIC_IP: Final = Thing(
    "address",
    plural="addresses",
    id="AllocationId",
    create="allocate_address",
    delete="release_address",
    made=None,
    tag="elastic-ip",
    inputs={"domain": "Domain"},
    outputs={"allocationId": "AllocationId", "publicIp": "PublicIp"},
    replaces=frozenset({"domain"}),
    source=_DOCS.format("ec2_eip.go"),
)

NAT_GATEWAY: Final = Thing(
    "nat_gateway",
    id="NatGatewayId",
    tag="natgateway",
    inputs={
        "allocationId": "AllocationId",
        "subnetId": "SubnetId",
        "privateIp": "PrivateIpAddress",
        "connectivityType": "ConnectivityType",
    },
    more=lambda _account, described, state: {
        "publicIp": described["NatGatewayAddresses"][0].get("PublicIp", ""),
        "networkInterfaceId": described["NatGatewayAddresses"][0]["NetworkInterfaceId"],
        "allocationId": described["NatGatewayAddresses"][0].get("AllocationId", ""),
        # moto gives it another address than was asked for
        "privateIp": state.get("privateIp") or described["NatGatewayAddresses"][0]["PrivateIp"],
    },
    replaces=frozenset({"allocationId", "subnetId", "privateIp", "connectivityType"}),
    source=_DOCS.format("vpc_nat_gateway.go"),
)


def _end_associations(account: Account, identity: str, state: Properties) -> None:
    """End the associations that are left, as the official provider does: those that an update made."""
    table = ROUTE_TABLE.describe(account, identity)
    for association in table["Associations"] if table else []:
        account.ec2.disassociate_route_table(AssociationId=association["RouteTableAssociationId"])


ROUTE_TABLE: Final = Thing(
    "route_table",
    id="RouteTableId",
    inputs={"vpcId": "VpcId"},
    before=_end_associations,
    replaces=frozenset({"vpcId"}),
    source=_DOCS.format("vpc_route_table.go"),
)


def _interface_asked(account: Account, inputs: Properties) -> dict[str, Any]:
    addresses = inputs.get("privateIps") or []
    return {
        "PrivateIpAddresses": [
            {"Primary": position == 0, "PrivateIpAddress": address}
            for position, address in enumerate(addresses)
        ]
    }


def _interface_changed(account: Account, identity: str, old: Properties, new: Properties) -> None:
    refuse_changes(old, new, "privateIps")
    for keys, parameters in (
        (("securityGroups",), {"Groups": new.get("securityGroups", [])}),
        (("description",), {"Description": {"Value": new.get("description", "")}}),
        (("sourceDestCheck",), {"SourceDestCheck": {"Value": new.get("sourceDestCheck", True)}}),
    ):
        if changed(old, new, *keys):
            account.ec2.modify_network_interface_attribute(NetworkInterfaceId=identity, **parameters)


def _another_primary(old: Properties, new: Properties) -> Iterable[str]:
    """Name the addresses when the primary one is not among the new ones: it cannot be changed."""
    wanted = new.get("privateIps")
    return ("privateIps",) if wanted and old.get("privateIp") not in wanted else ()


NETWORK_INTERFACE: Final = Thing(
    "network_interface",
    id="NetworkInterfaceId",
    inputs={"subnetId": "SubnetId", "securityGroups": "Groups", "description": "Description"},
    asked=_interface_asked,
    outputs={"macAddress": "MacAddress", "privateIp": "PrivateIpAddress"},
    extra=frozenset({"privateIps", "sourceDestCheck"}),
    changes=_interface_changed,
    more=lambda _account, described, _state: {
        "privateIps": [address["PrivateIpAddress"] for address in described["PrivateIpAddresses"]],
        "securityGroups": [group["GroupId"] for group in described["Groups"]],
        "sourceDestCheck": described["SourceDestCheck"],
    },
    sets=frozenset({"securityGroups", "privateIps"}),
    replaces=frozenset({"subnetId"}),
    replaced=_another_primary,
    source=_DOCS.format("vpc_network_interface.go") + " and CustomizeDiff",
)


def _endpoint_changed(account: Account, identity: str, old: Properties, new: Properties) -> None:
    refuse_changes(old, new, "privateDnsEnabled", "subnetConfigurations")
    parameters: dict[str, Any] = {}
    for key, name in (
        ("routeTableIds", "RouteTableIds"),
        ("subnetIds", "SubnetIds"),
        ("securityGroupIds", "SecurityGroupIds"),
    ):
        before, after = set(old.get(key) or []), set(new.get(key) or [])
        parameters |= {f"Add{name}": sorted(after - before), f"Remove{name}": sorted(before - after)}
    asked = {name: value for name, value in parameters.items() if value}
    account.ec2.modify_vpc_endpoint(VpcEndpointId=identity, **asked)


def _endpoint_asked(account: Account, inputs: Properties) -> dict[str, Any]:
    given_addresses = [
        {"SubnetId": configuration["subnetId"], "Ipv4": configuration["ipv4"]}
        for configuration in inputs.get("subnetConfigurations") or []
    ]
    return {"SubnetConfigurations": given_addresses} if given_addresses else {}


def _end_endpoint(account: Account, identity: str, state: Properties) -> None:
    account.ec2.delete_vpc_endpoints(VpcEndpointIds=[identity])


VPC_ENDPOINT: Final = Thing(
    "vpc_endpoint",
    id="VpcEndpointId",
    inputs={
        "vpcId": "VpcId",
        "serviceName": "ServiceName",
        "vpcEndpointType": "VpcEndpointType",
        "routeTableIds": "RouteTableIds",
        "subnetIds": "SubnetIds",
        "securityGroupIds": "SecurityGroupIds",
        "privateDnsEnabled": "PrivateDnsEnabled",
    },
    more=lambda _account, described, _state: {
        "securityGroupIds": [group["GroupId"] for group in described.get("Groups", [])]
    },
    asked=_endpoint_asked,
    extra=frozenset({"subnetConfigurations"}),
    before=_end_endpoint,
    changes=_endpoint_changed,
    sets=frozenset({"routeTableIds", "subnetIds", "securityGroupIds"}),
    replaces=frozenset({"vpcId", "serviceName", "vpcEndpointType"}),
    source=_DOCS.format("vpc_endpoint.go"),
)

PLACEMENT_GROUP: Final = Thing(
    "placement_group",
    id="GroupName",
    tag_id="GroupId",
    inputs={"name": "GroupName", "strategy": "Strategy"},
    outputs={"placementGroupId": "GroupId"},
    named="name",
    replaces=frozenset({"name", "strategy"}),
    source=_DOCS.format("ec2_placement_group.go"),
)

KEY_PAIR: Final = Thing(
    "key_pair",
    id="KeyName",
    tag_id="KeyPairId",
    create="import_key_pair",
    made=None,
    inputs={"keyName": "KeyName", "publicKey": "PublicKeyMaterial"},
    outputs={"keyPairId": "KeyPairId", "fingerprint": "KeyFingerprint"},
    named="keyName",
    replaces=frozenset({"keyName", "publicKey"}),
    source=_DOCS.format("ec2_key_pair.go"),
)


def _close(account: Account, identity: str, inputs: Properties) -> None:
    """Take away the rule that lets everything out: the official provider does, too."""
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    account.ec2.revoke_security_group_egress(GroupId=identity, IpPermissions=[everything])


SECURITY_GROUP: Final = Thing(
    "security_group",
    id="GroupId",
    made=None,
    inputs={"name": "GroupName", "description": "Description", "vpcId": "VpcId"},
    after=_close,
    named="name",
    replaces=frozenset({"name", "description", "vpcId"}),
    source=_DOCS.format("vpc_security_group.go"),
)

_TARGETS: Final = {
    "gatewayId": "GatewayId",
    "natGatewayId": "NatGatewayId",
    "networkInterfaceId": "NetworkInterfaceId",
    "vpcEndpointId": "VpcEndpointId",
}
_DESTINATION: Final = {
    "routeTableId": "RouteTableId",
    "destinationCidrBlock": "DestinationCidrBlock",
}


def _create_route(account: Account, inputs: Properties) -> str:
    account.ec2.create_route(**given(inputs, _DESTINATION | _TARGETS))
    where = hashlib.sha256(str(inputs["destinationCidrBlock"]).encode()).hexdigest()
    return f"r-{inputs['routeTableId']}{int(where[:8], 16)}"


def _read_route(account: Account, identity: str, state: Properties) -> Properties | None:
    table = ROUTE_TABLE.describe(account, state["routeTableId"])
    for route in table["Routes"] if table else []:
        if route.get("DestinationCidrBlock") == state["destinationCidrBlock"]:
            return {key: route[name] for key, name in _TARGETS.items() if name in route}
    return None


def _update_route(account: Account, identity: str, old: Properties, new: Properties) -> None:
    account.ec2.replace_route(**given(new, _DESTINATION | _TARGETS))


def _delete_route(account: Account, identity: str, state: Properties) -> None:
    if _read_route(account, identity, state) is not None:
        account.ec2.delete_route(**given(state, _DESTINATION))


ROUTE: Final = Kind(
    inputs=frozenset(_DESTINATION | _TARGETS),
    create=_create_route,
    read=_read_route,
    update=_update_route,
    delete=_delete_route,
    replaces=frozenset(_DESTINATION),
    source=_DOCS.format("vpc_route.go"),
)


def _associate(account: Account, inputs: Properties) -> str:
    asked = given(inputs, {"subnetId": "SubnetId", "routeTableId": "RouteTableId"})
    return str(account.ec2.associate_route_table(**asked)["AssociationId"])


def _association(account: Account, identity: str, state: Properties) -> Properties | None:
    for table in account.ec2.describe_route_tables()["RouteTables"]:
        for association in table["Associations"]:
            if association["RouteTableAssociationId"] == identity:
                return {"routeTableId": table["RouteTableId"], "subnetId": association.get("SubnetId", "")}
    return None


def _reassociate(account: Account, identity: str, old: Properties, new: Properties) -> None:
    """Move the subnet to another table: EC2 gives the association another id, which Pulumi cannot keep.

    So the next refresh finds none, as with the official provider (pulumi-aws issue 3911).
    """
    account.ec2.replace_route_table_association(AssociationId=identity, RouteTableId=new["routeTableId"])


def _dissociate(account: Account, identity: str, state: Properties) -> None:
    if _association(account, identity, state) is not None:
        account.ec2.disassociate_route_table(AssociationId=identity)


ROUTE_TABLE_ASSOCIATION: Final = Kind(
    inputs=frozenset({"subnetId", "routeTableId"}),
    create=_associate,
    read=_association,
    update=_reassociate,
    delete=_dissociate,
    replaces=frozenset({"subnetId"}),
    source=_DOCS.format("vpc_route_table_association.go"),
)

_LED: Final = {
    "allocationId": "AllocationId",
    "networkInterfaceId": "NetworkInterfaceId",
    "instanceId": "InstanceId",
}


def _lead(account: Account, inputs: Properties) -> str:
    return str(account.ec2.associate_address(**given(inputs, _LED))["AssociationId"])


def _led(account: Account, identity: str, state: Properties) -> Properties | None:
    found = account.ec2.describe_addresses(Filters=[{"Name": "association-id", "Values": [identity]}])
    for address in found["Addresses"]:
        return {"publicIp": address["PublicIp"], **{key: address.get(name, "") for key, name in _LED.items()}}
    return None


def _end_lead(account: Account, identity: str, state: Properties) -> None:
    if _led(account, identity, state) is not None:
        account.ec2.disassociate_address(AssociationId=identity)


EIP_ASSOCIATION: Final = Kind(
    inputs=frozenset(_LED),
    create=_lead,
    read=_led,
    delete=_end_lead,
    replaces=frozenset(_LED),
    source=_DOCS.format("ec2_eip_association.go"),
)
