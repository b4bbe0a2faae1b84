"""Hosts as instances: user data that they understand, and traffic that their groups let through."""

import pytest
import yaml

from planning.aws.userdata import user_data
from tests.aws.cloud.groups import Opening, openings
from tests.aws.cloud.server import Cloud
from tests.aws.support.machines import UNDERSTOOD, cloud_config


def test_the_user_data_of_this_project_is_understood_whole() -> None:
    config = cloud_config(user_data("private\n", "public"))
    assert config.keys() <= UNDERSTOOD
    assert config["ssh_keys"] == {"ed25519_private": "private\n", "ed25519_public": "public"}


@pytest.mark.parametrize("text", ["#!/bin/sh\ntrue\n", "#cloud-config\nusers: []\n"])
def test_user_data_that_is_not_understood_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="user data: these machines"):
        cloud_config(text)


def test_no_user_data_is_nothing_to_do() -> None:
    assert cloud_config("") == {}
    assert cloud_config(f"#cloud-config\n{yaml.safe_dump({})}") == {}


def test_groups_let_through_what_their_rules_say_by_range_and_by_the_members_of_a_group(cloud: Cloud) -> None:
    ec2 = cloud.client("ec2")
    network = ec2.create_vpc(CidrBlock="10.79.0.0/24")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=network, CidrBlock="10.79.0.0/25")["Subnet"]["SubnetId"]
    head, cluster = (
        ec2.create_security_group(GroupName=name, Description=name, VpcId=network)["GroupId"]
        for name in ("head", "cluster")
    )
    interfaces = [
        ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress=address, Groups=groups)
        for address, groups in (("10.79.0.11", [head, cluster]), ("10.79.0.12", [cluster]))
    ]
    tcp = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 23}
    by_range = {**tcp, "IpRanges": [{"CidrIp": "203.0.113.0/24"}]}
    by_group = {**tcp, "UserIdGroupPairs": [{"GroupId": cluster}]}
    ec2.authorize_security_group_ingress(GroupId=head, IpPermissions=[by_range, by_group])
    first, second = (
        openings(cloud.ec2, cloud.ec2.enis[interface["NetworkInterface"]["NetworkInterfaceId"]])
        for interface in interfaces
    )
    out = Opening("egress", "-1", 0, 65535, ("0.0.0.0/0",))
    assert set(second) == {out}
    assert set(first) == {
        out,
        Opening("ingress", "tcp", 22, 23, ("203.0.113.0/24",)),
        Opening("ingress", "tcp", 22, 23, ("10.79.0.11", "10.79.0.12")),
    }
