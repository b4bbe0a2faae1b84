"""A failed `up` is explained where instances were not to be had: EC2's code, and zones that may have some."""

import json

import pytest

from account.capacity import Failure, explain, failures, zones_of
from account.identity import Identity
from account.login import Login
from account.responses import NoAnswer
from tests.unit.account_examples import NO_CAPACITY, P5, REGION, URN, event, live_answer, want

pytest_plugins = ["tests.unit.moto_account"]
pytestmark = pytest.mark.usefixtures("no_account")

ZONES = live_answer({P5: ("us-east-1a", "us-east-1b", "us-east-1d")})


def test_instances_without_capacity_are_found_once_each() -> None:
    events = [
        event(NO_CAPACITY),
        event(f"1 error occurred: {NO_CAPACITY}"),
        event(NO_CAPACITY, f"{URN}node-2"),
    ]
    assert failures(events) == [
        Failure("node-1", "InsufficientInstanceCapacity"),
        Failure("node-2", "InsufficientInstanceCapacity"),
    ]


def test_a_time_out_counts_unless_the_reason_is_told_too() -> None:
    late = event("creating EC2 Instance: operation error EC2: RunInstances, context deadline exceeded")
    assert failures([late]) == [Failure("node-1", "no answer in time")]
    assert failures([late, event(NO_CAPACITY)]) == [Failure("node-1", "InsufficientInstanceCapacity")]


@pytest.mark.parametrize(
    "line",
    [
        event("creating EC2 Instance: api error InvalidParameterValue: no such thing"),
        event(NO_CAPACITY, severity="info"),
        event(NO_CAPACITY, "urn:pulumi:disagg::dynamo::command:local:Command::node-1-apply"),
        event("context deadline exceeded", "urn:pulumi:disagg::dynamo::command:local:Command::proof"),
        json.dumps({"sequence": 2, "summaryEvent": {}}),
        '{"sequence": 3, "diagnos',
        "",
    ],
)
def test_other_failures_and_other_events_are_left_to_pulumi(line: str) -> None:
    assert failures([line]) == []


def test_want_of_capacity_names_the_other_zones_that_offer_the_type() -> None:
    explanation, remedy = explain(want(), [Failure("node-1", "InsufficientInstanceCapacity")], ZONES)
    assert explanation == (
        "capacity   node-1: EC2 had no p5.48xlarge in us-east-1a (InsufficientInstanceCapacity); nothing is "
        "wrong with the stack file"
    )
    assert "write one of us-east-1b, us-east-1d as `target.zone`" in remedy


def test_a_zone_must_offer_every_type_of_the_stack() -> None:
    zones = live_answer({P5: ("us-east-1a", "us-east-1b"), "m7i.2xlarge": ("us-east-1a", "us-east-1d")})
    failed = [Failure("node-1", "InsufficientInstanceCapacity")]
    _, remedy = explain(want(head="dedicated"), failed, zones)
    assert "target.zone" not in remedy
    assert "the same command later" in remedy


def test_where_nobody_says_which_zones_offer_it_the_remedy_is_still_there() -> None:
    failed = [Failure("node-1", "InsufficientInstanceCapacity")]
    _, remedy = explain(want(), failed, NoAnswer("zones", "denied"))
    assert remedy.startswith("try        the same command later")


def test_a_quota_and_a_full_reservation_are_told_from_want_of_capacity() -> None:
    (quota,) = explain(want(), [Failure("node-1", "VcpuLimitExceeded")], ZONES)
    assert "quota" in quota
    (full,) = explain(want(), [Failure("node-1", "ReservationCapacityExceeded")], ZONES)
    assert "the reservation is full" in full


def test_nothing_is_said_where_nothing_failed_so() -> None:
    assert explain(want(), [], ZONES) == []


def test_the_zones_are_asked_live(account: str) -> None:
    offering = zones_of(want(), Login(REGION))
    assert not isinstance(offering, NoAnswer)
    assert offering is not None
    assert "us-east-1b" in offering.value[P5]


def test_zones_of_an_account_that_cannot_be_reached_are_no_answer() -> None:
    assert isinstance(zones_of(want(), Login(REGION)), NoAnswer)
    assert isinstance(zones_of(want(), Login(REGION, Identity(profile="missing"))), NoAnswer)
