"""Checks of networks and images in the account: existing subnets, VPCs, images that instances boot from."""

from dataclasses import replace
from typing import Any

import pytest

from account import Login, check
from account.networks import interfaces_in, routes_of, vpcs
from account.queries import machine_image
from account.requirements import Requirements
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


def existing(**network: Any) -> Requirements:
    return want(network=EXISTING | network)


def by(*routes: Route, has_prefix_lists: bool = False) -> Routes:
    return Routes("rtb-1", (LOCAL, *routes), has_prefix_lists)


def route(target: str, destination: str = OUT, *, alive: bool = True) -> Route:
    return Route(destination, target, alive)


NAT = route("nat-1")
HALVES = (route("nat-1", "0.0.0.0/1"), route("nat-1", "128.0.0.0/1"))


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        (by(NAT), None),
        (by(route("tgw-1")), None),
        (by(route("eni-1")), None),
        (by(*HALVES), None),
        (by(HALVES[0]), "leads to the internet by no route (rtb-1)"),
        (by(), "leads to the internet by no route (rtb-1)"),
        (by(has_prefix_lists=True), None),
        (by(route("nat-1", alive=False)), "by nat-1, which is gone"),
        (by(route("igw-1")), "by igw-1, which only public addresses can use: 2 nodes have none"),
        (by(NAT, route("igw-1", "8.0.0.0/8")), "by igw-1, which only public addresses can use"),
    ],
)
def test_a_subnet_has_a_way_to_what_up_fetches(routes: Routes, message: str | None) -> None:
    problems = judged(existing(), answers(routes=routes))
    assert [problem.key for problem in problems] == ([] if message is None else ["target.network.subnetId"])
    assert all(
        message in problem.message and "the hub, a package index" in problem.message
        for problem in problems
        if message
    )


@pytest.mark.parametrize("routes", [by(), by(route("igw-1")), by(route("nat-1", alive=False))])
def test_who_fetches_nothing_needs_no_way_out(routes: Routes) -> None:
    assert judged(replace(existing(), downloads=()), answers(routes=routes)) == []


def test_a_stack_that_runs_is_not_judged_by_its_routes() -> None:
    running = tuple(instance(number, fleet=FLEET) for number in (1, 2))
    assert judged(existing(), answers(routes=by(), instances=running)) == []
    assert judged(existing(), answers(routes=by(), instances=running[:1])) != []


@pytest.mark.parametrize(
    ("routes", "message"),
    [
        (by(NAT, ADMINS), None),
        (by(NAT), "answers 203.0.113.7/32 by nat-1"),
        (by(route("tgw-1")), "answers 203.0.113.7/32 by tgw-1"),
        (by(NAT, replace(ADMINS, alive=False)), "by igw-1, which is gone"),
        (by(NAT, has_prefix_lists=True), None),
    ],
)
def test_an_elastic_ip_is_of_use_only_behind_an_internet_gateway(routes: Routes, message: str | None) -> None:
    problems = judged(existing(publicHead=True), answers(routes=routes))
    assert [problem.key for problem in problems] == ([] if message is None else ["target.network.publicHead"])
    assert all(message in problem.message for problem in problems if message)
    assert judged(existing(), answers(routes=routes)) == []


@pytest.mark.parametrize(
    ("in_use", "first", "message"),
    [
        ([], 11, None),
        (["10.1.0.10", "10.1.0.13"], 11, None),
        (["10.1.0.11"], 11, "10.1.0.11 (node-1) by eni-0; write 4, from where 2 in a row are free"),
        (["10.1.0.12"], 11, "10.1.0.12 (node-2) by eni-0"),
        ([f"10.1.0.{last}" for last in range(4, 40)], 11, "write 40, from where 2"),
        ([f"10.1.0.{last}" for last in range(5, 255, 2)], 11, "it has no 2 free ones in a row"),
    ],
)
def test_planned_addresses_are_nobody_elses(in_use: list[str], first: int, message: str | None) -> None:
    interfaces = tuple(Interface(f"eni-{number}", address) for number, address in enumerate(in_use))
    problems = judged(existing(firstAddress=first), answers(interfaces=interfaces))
    assert [problem.key for problem in problems] == (
        [] if message is None else ["target.network.firstAddress"]
    )
    assert all(message in problem.message for problem in problems if message)


def test_the_vpc_quota_counts_what_others_have() -> None:
    limits = {"L-F678F1CE": Quota("L-F678F1CE", "VPCs per Region", 5)}
    assert judged(want(), answers(quotas=limits, vpcs=VpcCount(own=0, foreign=4))) == []
    assert judged(want(), answers(quotas=limits, vpcs=VpcCount(own=1, foreign=5))) == []
    (message,) = messages(want(), answers(quotas=limits, vpcs=VpcCount(own=0, foreign=5)))
    assert "the quota `VPCs per Region` in us-east-1 is 5, 5 are in use by others" in message
    assert "/services/vpc/quotas/L-F678F1CE" in message
    assert judged(existing(), answers(quotas=limits, vpcs=VpcCount(own=0, foreign=5))) == []


FITTING = Image("ami-0123456789abcdef0", "x86_64", "/dev/sda1", 75, on_ebs=True)
OWN_IMAGE = {"ami": FITTING.id}


@pytest.mark.parametrize(
    ("image", "key", "message"),
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
    image: Image, key: str | None, message: str
) -> None:
    for requirements in (want(**OWN_IMAGE), want()):
        problems = judged(requirements, answers(machine_image=image))
        assert [problem.key for problem in problems] == ([key] if key else [])
        assert all(message in problem.message for problem in problems)


def test_the_root_of_awss_image_is_called_as_it_was_and_that_of_another_as_it_likes() -> None:
    other = replace(FITTING, root_device="/dev/xvda")
    (message,) = messages(want(), answers(machine_image=other))
    assert "calls its root /dev/xvda, expected /dev/sda1" in message
    assert f"`ami: {FITTING.id}`" in message
    assert judged(want(**OWN_IMAGE), answers(machine_image=other)) == []


def test_a_newer_image_of_awss_is_nothing_to_a_stack_that_booted_an_older_one() -> None:
    running = (instance(1, fleet=FLEET),)
    large = replace(FITTING, root_gib=500)
    assert judged(want(), answers(machine_image=large, instances=running)) == []
    assert judged(want(**OWN_IMAGE), answers(machine_image=large, instances=running)) != []


@pytest.mark.parametrize("name", ["routes", "interfaces", "vpcs", "machine_image"])
def test_no_answer_refuses_nothing(name: str) -> None:
    replies = replace(good(), **{name: NoAnswer("it", "denied")})
    assert judged(existing(publicHead=True), replies) == []


def test_a_network_is_asked_for_its_routes_and_interfaces(account: str) -> None:
    ec2 = client("ec2")
    vpc = ec2.create_vpc(CidrBlock="10.1.0.0/16")["Vpc"]["VpcId"]
    subnet = ec2.create_subnet(VpcId=vpc, CidrBlock="10.1.0.0/24")["Subnet"]["SubnetId"]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(VpcId=vpc, InternetGatewayId=gateway)
    routes = routes_of(ec2, subnet, vpc)
    assert routes is not None
    assert routes.to("8.8.8.8/32") is None, "the VPC's main table has no way out yet"
    table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=table, SubnetId=subnet)
    ec2.create_route(RouteTableId=table, DestinationCidrBlock=OUT, GatewayId=gateway)
    routes = routes_of(ec2, subnet, vpc)
    assert routes is not None
    assert (routes.table, routes.to("8.8.8.8/32")) == (table, Route(OUT, gateway, alive=True))
    tags = [{"Key": key, "Value": value} for key, value in tags_of(FLEET).items()]
    for address, owner in (("10.1.0.20", tags), ("10.1.0.21", [])):
        interface = ec2.create_network_interface(SubnetId=subnet, PrivateIpAddress=address)[
            "NetworkInterface"
        ]
        if owner:
            ec2.create_tags(Resources=[interface["NetworkInterfaceId"]], Tags=owner)
    assert [interface.address for interface in interfaces_in(ec2, subnet, FLEET)] == ["10.1.0.21"]
    assert vpcs(ec2, FLEET).foreign == 2, "with the default one"


def test_an_image_is_asked_what_it_is(account: str) -> None:
    details = machine_image(client("ec2"), IMAGE)
    assert details is not None
    assert (details.architecture, details.on_ebs, details.root_gib > 0) == ("x86_64", True, True)
    assert machine_image(client("ec2"), "ami-01234567") is None
    details = machine_image(client("ec2"), client("ec2").register_image(Name="plain")["ImageId"])
    assert details is not None
    assert details.on_ebs, "moto calls its kind `standard`"


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
