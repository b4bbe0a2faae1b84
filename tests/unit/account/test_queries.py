"""Queries to the account, and their answers: moto's, and botocore's stubs elsewhere."""

import json
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from botocore.stub import Stubber

from account import Login, check
from account.fleet import Fleet
from account.identity import Identity
from account.queries import (
    Question,
    addresses,
    ask,
    described,
    image_of,
    instances,
    limits_of,
    list_price,
    offerings,
    parameter,
    region_enabled,
    reply,
    reservation_of,
    subnet_of,
)
from account.responses import Answer, Answers, NoAnswer, Quota
from planning.aws.catalogue import INSTANCE_TYPES
from tests.unit.account_examples import (
    FLEET,
    P5,
    REGION,
    RESERVATION,
    aws_plan,
    client,
    launch,
    tags_of,
    want,
)

pytest_plugins = ["tests.unit.moto_account"]
pytestmark = pytest.mark.usefixtures("no_account")


def test_all_that_moto_knows_is_answered_live(account: str) -> None:
    launch(2, **tags_of(FLEET))
    replies = ask(want(), FLEET, Login(REGION))
    assert isinstance(replies, Answers)
    live = ("caller", "region_enabled", "offerings", "types", "instances", "addresses")
    answers = {name: getattr(replies, name) for name in live}
    assert all(isinstance(answer, Answer) and answer.source == "live" for answer in answers.values())
    assert answers["caller"].value == "123456789012"
    assert answers["region_enabled"].value is True
    assert "us-east-1a" in answers["offerings"].value[P5]
    assert answers["types"].value == {P5: INSTANCE_TYPES[P5]}
    assert [FLEET.owns(instance.tags) for instance in answers["instances"].value] == [True, True]


def test_what_the_account_has_no_api_for_is_said_in_one_line_and_refuses_nothing(account: str) -> None:
    report = check(aws_plan(ami="ami-01234567"), FLEET, Login(REGION))
    (note,) = [line for line in report.lines if line.startswith("note")]
    assert note == "note       the account did not say quotas, prices: HTTP 500"
    assert [problem.key for problem in report.problems] == ["target.ami"]


def test_a_second_fleet_in_the_account_is_refused(account: str) -> None:
    launch(1, **tags_of(Fleet(FLEET.project, FLEET.stack, "another")))
    report = check(aws_plan(), FLEET, Login(REGION))
    assert "stack" in [problem.key for problem in report.problems]


def test_without_credentials_nothing_is_asked_and_one_line_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    report = check(aws_plan(), FLEET, Login(REGION))
    (line,) = report.lines
    assert line.startswith("account    not asked: no AWS credentials;")
    assert (report.problems, report.answers) == ((), None)


def test_a_profile_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = check(aws_plan(), FLEET, Login(REGION, Identity(profile="missing"))).lines
    assert "account    not asked: The config profile (missing) could not be found" in line


def test_an_account_that_cannot_be_reached_refuses_nothing_and_costs_seconds() -> None:
    began = time.monotonic()
    report = check(aws_plan(), FLEET, Login(REGION))
    assert time.monotonic() - began < 15
    assert report.problems == ()
    assert not [line for line in report.lines if line.startswith("account")]
    assert all("Could not connect to the endpoint URL" in line for line in report.lines)


def test_denied_questions_name_the_action_that_they_need() -> None:
    ec2 = client("ec2")
    with Stubber(ec2) as stub:
        stub.add_client_error("describe_instance_type_offerings", "UnauthorizedOperation", "arn:aws:…")
        answer = reply(Question.OFFERINGS, lambda: offerings(ec2, [P5]))
    assert answer == NoAnswer(
        "which zones offer the instance types", "denied, allow ec2:DescribeInstanceTypeOfferings"
    )


def test_a_region_that_is_not_opted_in_is_told_from_one_that_needs_no_opting(account: str) -> None:
    assert region_enabled(client("ec2"), REGION)
    ec2 = client("ec2")
    with Stubber(ec2) as stub:
        off = {"RegionName": "ap-east-1", "OptInStatus": "not-opted-in"}
        stub.add_response("describe_regions", {"Regions": [off]})
        assert not region_enabled(ec2, "ap-east-1")


def test_a_type_that_no_zone_offers_has_none(account: str) -> None:
    assert offerings(client("ec2"), ["p9.huge"]) == {"p9.huge": ()}
    assert described(client("ec2"), ["p9.huge"]) == {}


def test_instances_that_are_gone_are_not_listed_and_others_are_with_how_they_are_bought(account: str) -> None:
    terminated, stopped, runs = launch(3)
    ec2 = client("ec2")
    ec2.terminate_instances(InstanceIds=[terminated])
    ec2.stop_instances(InstanceIds=[stopped])
    existing = {instance.id: instance for instance in instances(ec2)}
    assert set(existing) == {stopped, runs}
    assert (existing[runs].bought, existing[runs].runs, existing[stopped].runs) == ("on-demand", True, False)


def test_an_instance_says_its_vcpus_its_lifecycle_and_its_reservation() -> None:
    ec2 = client("ec2")
    response = {
        "InstanceId": "i-0123456789abcdef0",
        "InstanceType": P5,
        "Placement": {"AvailabilityZone": "us-east-1a"},
        "State": {"Name": "running"},
        "InstanceLifecycle": "capacity-block",
        "CapacityReservationId": RESERVATION,
        "CpuOptions": {"CoreCount": 96, "ThreadsPerCore": 2},
    }
    with Stubber(ec2) as stub:
        stub.add_response("describe_instances", {"Reservations": [{"Instances": [response]}]})
        (result,) = instances(ec2)
    assert (result.vcpus, result.bought, result.reservation) == (192, "capacity-block", RESERVATION)


def test_a_quota_that_was_never_raised_is_the_default_and_one_that_is_not_there_is_left_out() -> None:
    service = client("service-quotas")
    quota = {"QuotaCode": "L-1", "QuotaName": "Running", "Value": 384.0}
    with Stubber(service) as stub:
        stub.add_response("get_service_quota", {"Quota": quota})
        stub.add_client_error("get_service_quota", "NoSuchResourceException")
        stub.add_response("get_aws_default_service_quota", {"Quota": {**quota, "Value": 0.0}})
        stub.add_client_error("get_service_quota", "NoSuchResourceException")
        stub.add_client_error("get_aws_default_service_quota", "NoSuchResourceException")
        result = limits_of(service, ["L-1", "L-2", "L-3"])
    assert result == {"L-1": Quota("L-1", "Running", 384), "L-2": Quota("L-2", "Running", 0)}


def test_a_capacity_block_is_told_from_a_reservation_and_names_its_placement_group() -> None:
    ec2 = client("ec2")
    ends = datetime(2026, 12, 1, 11, 30, tzinfo=UTC)
    response = {
        "CapacityReservationId": RESERVATION,
        "InstanceType": P5,
        "AvailabilityZone": "us-east-1b",
        "State": "active",
        "TotalInstanceCount": 4,
        "AvailableInstanceCount": 1,
        "EndDate": ends,
        "PlacementGroupArn": "arn:aws:ec2:us-east-1:1:placement-group/near",
    }
    with Stubber(ec2) as stub:
        stub.add_response("describe_capacity_reservations", {"CapacityReservations": [response]})
        block = {**response, "ReservationType": "capacity-block"}
        stub.add_response("describe_capacity_reservations", {"CapacityReservations": [block]})
        stub.add_client_error("describe_capacity_reservations", "InvalidCapacityReservationId.NotFound")
        plain, ahead, none = (reservation_of(ec2, RESERVATION) for _ in range(3))
    assert none is None
    assert plain is not None
    assert ahead is not None
    assert (plain.option, ahead.option) == ("reservation", "capacity-block")
    assert (plain.total, plain.free, plain.ends, plain.placement_group) == (4, 1, ends, "near")


def test_subnets_images_and_parameters_that_are_not_there_are_none(account: str) -> None:
    ec2, ssm = client("ec2"), client("ssm")
    assert subnet_of(ec2, "subnet-01234567") is None
    assert image_of(ec2, "ami-01234567") is None
    assert parameter(ssm, "/aws/service/nothing") is None


def test_subnets_images_and_parameters_that_are_there_are_found(account: str) -> None:
    ec2, ssm = client("ec2"), client("ssm")
    vpc = ec2.create_vpc(CidrBlock="10.9.0.0/16")["Vpc"]["VpcId"]
    created = ec2.create_subnet(VpcId=vpc, CidrBlock="10.9.0.0/24", AvailabilityZone="us-east-1b")["Subnet"]
    result = subnet_of(ec2, created["SubnetId"])
    assert result is not None
    assert (result.vpc, result.zone, result.cidr) == (vpc, "us-east-1b", "10.9.0.0/24")
    image = ec2.describe_images(Owners=["amazon"])["Images"][0]["ImageId"]
    assert image_of(ec2, image) == image
    ssm.put_parameter(Name="/an/image", Value=image, Type="String")
    assert parameter(ssm, "/an/image") == image


def test_elastic_ips_of_the_stack_are_told_from_others(account: str) -> None:
    ec2 = client("ec2")
    for tags in (tags_of(FLEET), {}):
        entries = [{"Key": key, "Value": value} for key, value in tags.items()]
        specified = [{"ResourceType": "elastic-ip", "Tags": entries}] if entries else []
        ec2.allocate_address(Domain="vpc", TagSpecifications=specified)
    result = addresses(ec2, FLEET)
    assert (result.own, result.foreign) == (1, 1)


def test_the_price_list_is_read_for_linux_on_demand_by_the_hour() -> None:
    pricing = client("pricing")
    hourly = {"unit": "Hrs", "pricePerUnit": {"USD": "55.0400000000"}}
    product = {"terms": {"OnDemand": {"A.B": {"priceDimensions": {"A.B.C": hourly}}}, "Reserved": {}}}
    with Stubber(pricing) as stub:
        stub.add_response("get_products", {"PriceList": [json.dumps(product)]})
        stub.add_response("get_products", {"PriceList": []})
        assert list_price(pricing, P5, REGION) == 55.04
        assert list_price(pricing, P5, REGION) is None


def test_the_spot_price_is_the_zones_last(account: str) -> None:
    replies = ask(want(purchase="spot"), FLEET, Login(REGION))
    assert isinstance(replies, Answers)
    assert isinstance(replies.prices, Answer)
    (price,) = replies.prices.value
    assert (price.type, price.option, price.hourly) == (P5, "spot", 0.00001)


def test_a_capacity_block_has_no_price_by_the_hour(account: str) -> None:
    block = want(purchase={"option": "capacity-block", "reservationId": RESERVATION})
    replies = ask(block, FLEET, Login(REGION))
    assert isinstance(replies, Answers)
    assert isinstance(replies.prices, Answer)
    assert replies.prices.value == ()


def test_the_page_on_the_account_names_every_action_that_is_asked_with() -> None:
    page = (Path(__file__).parents[3] / "docs/account.md").read_text(encoding="utf-8")
    assert [question for question in Question if f"`{question.action}`" not in page] == []
