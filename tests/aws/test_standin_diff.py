"""Changes that replace a resource, as in the official provider's source (the table names the files)."""

from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from plugins.command.protocol import provider_pb2
from plugins.command.wire import UNKNOWN, read, write
from tests.aws.standin.server import DEFAULTS, Provider
from tests.aws.standin.table import KINDS

UPDATE: Sequence[str] = ()
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
INTERFACE = "aws:ec2/networkInterface:NetworkInterface"
INSTANCE = "aws:ec2/instance:Instance"
TEMPLATE = {"id": "lt-1", "version": "1"}

CHANGES: Mapping[str, tuple[str, Mapping[str, Any], Mapping[str, Any], Sequence[str]]] = {
    "tags of a VPC": ("aws:ec2/vpc:Vpc", {"tags": {"a": "b"}}, {"tags": {"a": "c"}}, UPDATE),
    "a VPC's range": ("aws:ec2/vpc:Vpc", {"cidrBlock": "a"}, {"cidrBlock": "b"}, ["cidrBlock"]),
    "a subnet's zone": (
        "aws:ec2/subnet:Subnet",
        {"availabilityZone": "a"},
        {"availabilityZone": "b"},
        ["availabilityZone"],
    ),
    "a NAT gateway's subnet": (
        "aws:ec2/natGateway:NatGateway",
        {"subnetId": "a"},
        {"subnetId": UNKNOWN},
        ["subnetId"],
    ),
    "a route's target": ("aws:ec2/route:Route", {"gatewayId": "a"}, {"natGatewayId": "b"}, UPDATE),
    "a route's destination": (
        "aws:ec2/route:Route",
        {"destinationCidrBlock": "a"},
        {"destinationCidrBlock": "b"},
        ["destinationCidrBlock"],
    ),
    "the table of a subnet": (
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        {"subnetId": "a", "routeTableId": "a"},
        {"subnetId": "a", "routeTableId": UNKNOWN},
        UPDATE,
    ),
    "the subnet of a table": (
        "aws:ec2/routeTableAssociation:RouteTableAssociation",
        {"subnetId": "a", "routeTableId": "a"},
        {"subnetId": "b", "routeTableId": "a"},
        ["subnetId"],
    ),
    "the network of an internet gateway": (
        "aws:ec2/internetGateway:InternetGateway",
        {"vpcId": "a"},
        {"vpcId": "b"},
        UPDATE,
    ),
    "the tables of an endpoint in another order": (
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        {"routeTableIds": ["a", "b"]},
        {"routeTableIds": ["b", "a"]},
        UPDATE,
    ),
    "a group's description": (
        "aws:ec2/securityGroup:SecurityGroup",
        {"description": "a"},
        {"description": "b"},
        ["description"],
    ),
    "a rule's ports": (RULE, {"cidrIpv4": "a", "fromPort": 1}, {"cidrIpv4": "a", "fromPort": 2}, UPDATE),
    "a rule's range": (RULE, {"cidrIpv4": "a"}, {"cidrIpv4": "b"}, UPDATE),
    "a rule's kind of source": (RULE, {"cidrIpv4": "a"}, {"cidrIpv6": "b"}, ["cidrIpv4", "cidrIpv6"]),
    "a rule's group": (
        RULE,
        {"cidrIpv4": "a", "securityGroupId": "a"},
        {"cidrIpv4": "a", "securityGroupId": "b"},
        ["securityGroupId"],
    ),
    "an interface's primary address": (
        INTERFACE,
        {"privateIps": ["10.0.0.11"], "privateIp": "10.0.0.11"},
        {"privateIps": ["10.0.0.12"]},
        ["privateIps"],
    ),
    "one more address of an interface": (
        INTERFACE,
        {"privateIps": ["10.0.0.11"], "privateIp": "10.0.0.11"},
        {"privateIps": ["10.0.0.12", "10.0.0.11"]},
        UPDATE,
    ),
    "an interface's groups": (INTERFACE, {"securityGroups": ["a"]}, {"securityGroups": ["b"]}, UPDATE),
    "an association's interface": (
        "aws:ec2/eipAssociation:EipAssociation",
        {"networkInterfaceId": "a"},
        {"networkInterfaceId": "b"},
        ["networkInterfaceId"],
    ),
    "a public key": ("aws:ec2/keyPair:KeyPair", {"publicKey": "a"}, {"publicKey": "b"}, ["publicKey"]),
    "who may take a role": (
        "aws:iam/role:Role",
        {"assumeRolePolicy": "a"},
        {"assumeRolePolicy": "b"},
        UPDATE,
    ),
    "what a role may do": ("aws:iam/rolePolicy:RolePolicy", {"policy": "a"}, {"policy": "b"}, UPDATE),
    "whose policy it is": ("aws:iam/rolePolicy:RolePolicy", {"role": "a"}, {"role": "b"}, ["role"]),
    "a profile's role": ("aws:iam/instanceProfile:InstanceProfile", {"role": "a"}, {"role": "b"}, UPDATE),
    "what a template launches": (
        "aws:ec2/launchTemplate:LaunchTemplate",
        {"instanceType": "a", "userData": "a"},
        {"instanceType": "b", "userData": "b"},
        UPDATE,
    ),
    "an instance's tags": (INSTANCE, {"tags": {"a": "b"}}, {"tags": {}}, UPDATE),
    "another template": (
        INSTANCE,
        {"launchTemplate": TEMPLATE},
        {"launchTemplate": TEMPLATE | {"id": "lt-2"}},
        ["launchTemplate"],
    ),
    "a version that does not run": (
        INSTANCE,
        {"launchTemplate": TEMPLATE, "launchedVersion": "1"},
        {"launchTemplate": TEMPLATE | {"version": "2"}},
        ["launchTemplate"],
    ),
    "a version that only the update knows": (
        INSTANCE,
        {"launchTemplate": TEMPLATE, "launchedVersion": "1"},
        {"launchTemplate": TEMPLATE | {"version": UNKNOWN}},
        ["launchTemplate"],
    ),
    "a newer version than runs, as the last update saw": (
        INSTANCE,
        {"launchTemplate": TEMPLATE, "launchedVersion": "1"},
        {"launchTemplate": TEMPLATE | {"version": "$Latest"}},
        ["launchTemplate"],
    ),
    "the version that runs": (
        INSTANCE,
        {"launchTemplate": TEMPLATE | {"version": "$Latest"}, "launchedVersion": "1"},
        {"launchTemplate": TEMPLATE},
        UPDATE,
    ),
}


def diff(token: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Any:
    inputs = {key: value for key, value in old.items() if key in KINDS[token].inputs | {DEFAULTS}}
    asked = provider_pb2.DiffRequest(type=token, olds=write(old), old_inputs=write(inputs), news=write(new))
    return Provider().Diff(asked, None)


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_replaces_or_updates_as_the_official_provider_does(what: str) -> None:
    token, old, new, replaces = CHANGES[what]
    answer = diff(token, old, new)
    assert list(answer.replaces) == list(replaces)
    reordered = what == "the tables of an endpoint in another order"
    assert bool(answer.diffs) is not reordered


def test_a_resource_with_a_given_name_is_deleted_before_it_is_replaced() -> None:
    old, new = {"name": "a", "description": "a"}, {"name": "a", "description": "b"}
    token = "aws:ec2/securityGroup:SecurityGroup"
    assert diff(token, old, new).deleteBeforeReplace
    own = {DEFAULTS: ["name"]}
    assert not diff(token, {**old, **own}, {**new, **own}).deleteBeforeReplace
    assert not diff(token, old, {**new, "name": "its own", **own}).deleteBeforeReplace


def test_a_name_of_its_own_is_kept() -> None:
    token = "aws:ec2/placementGroup:PlacementGroup"

    def checked(olds: Mapping[str, Any]) -> dict[str, Any]:
        asked = provider_pb2.CheckRequest(
            type=token, name="near", news=write({"strategy": "cluster"}), olds=write(olds)
        )
        return dict(Provider().Check(asked, None).inputs)

    first, other = checked({}), checked({})
    assert first["name"].startswith("near-")
    assert first["name"] != other["name"]
    assert checked(first)["name"] == first["name"]


@pytest.mark.parametrize(
    ("inputs", "changed", "unknown"),
    [
        ({}, {"instanceType": "b"}, {"latestVersion"}),
        ({"updateDefaultVersion": True}, {"instanceType": "b"}, {"latestVersion", "defaultVersion"}),
        ({"updateDefaultVersion": True}, {"tags": {"a": "c"}}, {"latestVersion", "defaultVersion"}),
        ({}, {"updateDefaultVersion": True}, {"defaultVersion"}),
    ],
)
def test_a_preview_shows_the_versions_of_a_changed_template_as_unknown(
    inputs: Mapping[str, Any], changed: Mapping[str, Any], unknown: set[str]
) -> None:
    old = {"name": "a", "instanceType": "a", "tags": {"a": "b"}, **inputs}
    state = {**old, "latestVersion": 1, "defaultVersion": 1}
    asked = provider_pb2.UpdateRequest(
        type="aws:ec2/launchTemplate:LaunchTemplate",
        olds=write(state),
        old_inputs=write(old),
        news=write({**old, **changed}),
        preview=True,
    )
    answer = read(Provider().Update(asked, None).properties)
    assert {key for key, value in answer.items() if value == UNKNOWN} == unknown


def test_every_type_says_where_its_behaviour_is_written_down() -> None:
    assert all("terraform-provider-aws" in kind.source for kind in KINDS.values())
