"""What the account says of networks and images: existing subnets, VPCs, what instances boot from."""

from dataclasses import replace
from typing import Any

import pytest

from account import Login, check
from account.networks import interfaces_in, routes_of, vpcs
from account.queries import machine_image
from account.requirements import Wanted
from account.responses import Image, Interface, NoAnswer, Quota, Route, Routes, VpcCount
from tests.unit.account_examples import (
    FLEET,
    IMAGE,
    REGION,
    answers,
    aws_plan,
    client,
    good,
    instance,
    judged,
    messages,
    tags_of,
    want,
)

pytest_plugins = ["tests.unit.moto_account"]

EXISTING = {"vpcId": "vpc-01234567", "subnetId": "subnet-01234567", "cidr": "10.1.0.0/24"}
OUT = "0.0.0.0/0"
LOCAL = Route("10.1.0.0/16", "local", alive=True)
ADMINS = Route("203.0.113.0/24", "igw-1", alive=True)


def existing(**network: Any) -> Wanted:
    return want(network=EXISTING | network)


def by(*routes: Route, by_list: bool = False) -> Routes:
    return Routes("rtb-1", (LOCAL, *routes), by_list)


def way(target: str, destination: str = OUT, *, alive: bool = True) -> Route:
    return Route(destination, target, alive)


NAT = way("nat-1")
HALVES = (way("nat-1", "0.0.0.0/1"), way("nat-1", "128.0.0.0/1"))


@pytest.mark.parametrize(
    ("routes", "told"),
    [
        (by(NAT), None),
        (by(way("tgw-1")), None),
        (by(way("eni-1")), None),
        (by(*HALVES), None),
        (by(HALVES[0]), "leads to the internet by no route (rtb-1)"),
        (by(), "leads to the internet by no route (rtb-1)"),
        (by(by_list=True), None),
        (by(way("nat-1", alive=False)), "by nat-1, which is gone"),
        (by(way("igw-1")), "by igw-1, which only public addresses can use: 2 nodes have none"),
        (by(NAT, way("igw-1", "8.0.0.0/8")), "by igw-1, which only public addresses can use"),
    ],
)
def test_a_subnet_has_a_way_to_what_up_fetches(routes: Routes, told: str | None) -> None:
    found = judged(existing(), answers(routes=routes))
    assert [problem.key for problem in found] == ([] if told is None else ["target.network.subnetId"])
    assert all(
        told in problem.message and "the hub, a package index" in problem.message for problem in found if told
    )


@pytest.mark.parametrize("routes", [by(), by(way("igw-1")), by(way("nat-1", alive=False))])
def test_who_fetches_nothing_needs_no_way_out(routes: Routes) -> None:
    assert judged(replace(existing(), fetched=()), answers(routes=routes)) == []


def test_a_stack_that_runs_is_not_judged_by_its_routes() -> None:
    ours = tuple(instance(number, fleet=FLEET) for number in (1, 2))
    assert judged(existing(), answers(routes=by(), instances=ours)) == []
    assert judged(existing(), answers(routes=by(), instances=ours[:1])) != []


@pytest.mark.parametrize(
    ("routes", "told"),
    [
        (by(NAT, ADMINS), None),
        (by(NAT), "answers 203.0.113.7/32 by nat-1"),
        (by(way("tgw-1")), "answers 203.0.113.7/32 by tgw-1"),
        (by(NAT, replace(ADMINS, alive=False)), "by igw-1, which is gone"),
        (by(NAT, by_list=True), None),
    ],
)
def test_an_elastic_ip_is_of_use_only_behind_an_internet_gateway(routes: Routes, told: str | None) -> None:
    found = judged(existing(publicHead=True), answers(routes=routes))
    assert [problem.key for problem in found] == ([] if told is None else ["target.network.publicHead"])
    assert all(told in problem.message for problem in found if told)
    assert judged(existing(), answers(routes=routes)) == []


@pytest.mark.parametrize(
    ("taken", "first", "told"),
    [
        ([], 11, None),
        (["10.1.0.10", "10.1.0.13"], 11, None),
        (["10.1.0.11"], 11, "10.1.0.11 (node-1) by eni-0; write 4, from where 2 in a row are free"),
        (["10.1.0.12"], 11, "10.1.0.12 (node-2) by eni-0"),
        ([f"10.1.0.{last}" for last in range(4, 40)], 11, "write 40, from where 2"),
        ([f"10.1.0.{last}" for last in range(5, 255, 2)], 11, "it has no 2 free ones in a row"),
    ],
)
def test_planned_addresses_are_nobody_elses(taken: list[str], first: int, told: str | None) -> None:
    others = tuple(Interface(f"eni-{number}", address) for number, address in enumerate(taken))
    found = judged(existing(firstAddress=first), answers(interfaces=others))
    assert [problem.key for problem in found] == ([] if told is None else ["target.network.firstAddress"])
    assert all(told in problem.message for problem in found if told)


def test_the_vpc_quota_counts_what_others_have() -> None:
    limits = {"L-F678F1CE": Quota("L-F678F1CE", "VPCs per Region", 5)}
    assert judged(want(), answers(quotas=limits, vpcs=VpcCount(ours=0, others=4))) == []
    assert judged(want(), answers(quotas=limits, vpcs=VpcCount(ours=1, others=5))) == []
    (message,) = messages(want(), answers(quotas=limits, vpcs=VpcCount(ours=0, others=5)))
    assert "the quota `VPCs per Region` in us-east-1 is 5, 5 are in use by others" in message
    assert "/services/vpc/quotas/L-F678F1CE" in message
    assert judged(existing(), answers(quotas=limits, vpcs=VpcCount(ours=0, others=5))) == []


FITTING = Image("ami-0123456789abcdef0", "x86_64", "/dev/sda1", 75, on_ebs=True)
OWN = {"ami": FITTING.id}


@pytest.mark.parametrize(
    ("image", "key", "told"),
    [
        (FITTING, None, ""),
        (replace(FITTING, root_gib=200), None, ""),
        (
            replace(FITTING, root_gib=201),
            "target.volume.sizeGib",
            "a snapshot of 201 GiB; write at least that",
        ),
        (replace(FITTING, architecture="arm64"), "target.ami", "is for arm64"),
        (replace(FITTING, on_ebs=False), "target.ami", "boots from an instance store"),
    ],
)
def test_an_image_that_instances_cannot_boot_from_is_refused(
    image: Image, key: str | None, told: str
) -> None:
    for wanted in (want(**OWN), want()):
        found = judged(wanted, answers(machine_image=image))
        assert [problem.key for problem in found] == ([key] if key else [])
        assert all(told in problem.message for problem in found)


def test_the_root_of_awss_image_is_called_as_it_was_and_that_of_another_as_it_likes() -> None:
    other = replace(FITTING, root_device="/dev/xvda")
    (message,) = messages(want(), answers(machine_image=other))
    assert "calls its root /dev/xvda, expected /dev/sda1" in message
    assert f"`ami: {FITTING.id}`" in message
    assert judged(want(**OWN), answers(machine_image=other)) == []


def test_a_newer_image_of_awss_is_nothing_to_a_stack_that_booted_an_older_one() -> None:
    ours = (instance(1, fleet=FLEET),)
    large = replace(FITTING, root_gib=500)
    assert judged(want(), answers(machine_image=large, instances=ours)) == []
    assert judged(want(**OWN), answers(machine_image=large, instances=ours)) != []


@pytest.mark.parametrize("name", ["routes", "interfaces", "vpcs", "machine_image"])
def test_no_answer_refuses_nothing(name: str) -> None:
    said = replace(good(), **{name: NoAnswer("it", "denied")})
    assert judged(existing(publicHead=True), said) == []


def test_a_network_is_asked_for_its_routes_and_interfaces(account: str) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
    found = routes_of(ec2, subnet, vpc)
    assert found is not None
    assert found.to("8.8.8.8/32") is None, "the VPC's main table has no way out yet"
    own = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=own, SubnetId=subnet)
    ec2.create_route(RouteTableId=own, DestinationCidrBlock=OUT, GatewayId=gateway)
    found = routes_of(ec2, subnet, vpc)
    assert found is not None
    assert (found.table, found.to("8.8.8.8/32")) == (own, Route(OUT, gateway, alive=True))
    tags = [{"Key": key, "Value": value} for key, value in tags_of(FLEET).items()]
    for address, whose in (("10.1.0.20", tags), ("10.1.0.21", [])):
        made = ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress=address)["NetworkInterface"]
        if whose:
            ec2.create_tags(Resources=[made["NetworkInterfaceId"]], Tags=whose)
    assert [one.address for one in interfaces_in(ec2, subnet, FLEET)] == ["10.1.0.21"]
    assert vpcs(ec2, FLEET).others == 2, "with the default one"


def test_an_image_is_asked_what_it_is(account: str) -> None:
    found = machine_image(client("ec2"), IMAGE)
    assert found is not None
    assert (found.architecture, found.on_ebs, found.root_gib > 0) == ("x86_64", True, True)
    assert machine_image(client("ec2"), "ami-01234567") is None
    found = machine_image(client("ec2"), client("ec2").register_image(Name="plain")["ImageId"])
    assert found is not None
    assert found.on_ebs, "moto calls its kind `standard`"


def test_all_of_it_is_in_one_report(account: str) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    zone = "us-east-1a"
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24", AvailabilityZone=zone)["Subnet"][
        "SubnetId"
    ]
    ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress="10.1.0.12")
    network = {"vpcId": vpc, "subnetId": subnet, "cidr": "10.1.0.0/24"}
    report = check(aws_plan(ami=IMAGE, network=network), FLEET, Login(REGION))
    keys = [problem.key for problem in report.problems]
    assert keys == ["target.network.subnetId", "target.network.firstAddress"]
