"""Answers of the account that refuse a plan, and answers that never do."""

from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta

import pytest

from account.fleet import Fleet
from account.report import lines
from account.responses import Addresses, Answer, NoAnswer, Subnet
from planning.aws.catalogue import INSTANCE_TYPES
from tests.unit.account_examples import (
    FLEET,
    NOW,
    P5,
    RESERVATION,
    answers,
    good,
    instance,
    judged,
    messages,
    quota,
    reservation,
    want,
)

RESERVED = {"purchase": {"option": "reservation", "reservationId": RESERVATION}}
BLOCK = {"purchase": {"option": "capacity-block", "reservationId": RESERVATION}}


def test_an_account_that_has_everything_refuses_nothing() -> None:
    assert judged(want(), good()) == []
    assert judged(want(head="dedicated"), good()) == []
    assert judged(want(**RESERVED), answers(reservation=reservation())) == []


def test_a_region_that_is_off_is_refused() -> None:
    (problem,) = judged(want(), answers(region_enabled=False))
    assert (problem.key, problem.value) == ("aws:region", "us-east-1")
    assert "enable it" in problem.message


def test_a_type_that_the_zone_has_not_is_refused_with_the_zones_that_have_it() -> None:
    replies = answers(offerings={P5: ("us-east-1b", "us-east-1d")})
    (message,) = messages(want(), replies)
    assert message == (
        "target.zone: us-east-1a does not offer p5.48xlarge; write one of us-east-1b, us-east-1d"
    )
    assert judged(want(zone="us-east-1d"), replies) == []


def test_a_type_that_the_region_has_not_is_refused() -> None:
    (problem,) = judged(want(), answers(offerings={P5: ()}))
    assert problem.key == "target.instanceType"
    assert "not offered in us-east-1" in problem.message


def test_a_dedicated_heads_type_is_looked_at_too() -> None:
    replies = answers(offerings={P5: ("us-east-1a",), "m7i.2xlarge": ()})
    assert [problem.key for problem in judged(want(head="dedicated"), replies)] == ["target.headInstanceType"]
    assert judged(want(), replies) == []


def test_a_type_that_is_not_as_the_catalogue_says_is_refused_with_how_to_regenerate_it() -> None:
    known = INSTANCE_TYPES[P5]
    (problem,) = judged(want(), answers(types={P5: replace(known, efa_cards=(0, 1))}))
    assert "cards with EFA 32, EC2 says 2; run `scripts/generate-catalogue`" in problem.message


@pytest.mark.parametrize(
    ("running", "limit", "refused"),
    [
        pytest.param((), 384, False, id="two instances of 192 vCPUs fit 384"),
        pytest.param((), 383, True, id="one vCPU is missing"),
        pytest.param((instance(1),), 575, True, id="what others run counts"),
        pytest.param((instance(1),), 576, False, id="with room for others too"),
        pytest.param((instance(1, state="stopped"),), 384, False, id="what is stopped does not count"),
        pytest.param((instance(1, bought="spot"),), 384, False, id="spot has its own quota"),
        pytest.param((instance(1, bought="capacity-block"),), 384, False, id="a block has none"),
        pytest.param((instance(1, type="g6.48xlarge"),), 384, False, id="another family has another quota"),
        pytest.param((instance(1, fleet=FLEET),), 383, True, id="one of ours runs, one is to come"),
        pytest.param((instance(1, fleet=FLEET),), 384, False, id="ours is not counted twice"),
        pytest.param(
            (instance(1, fleet=FLEET), instance(2, fleet=FLEET)), 0, False, id="nothing more is bought"
        ),
    ],
)
def test_a_quota_refuses_just_what_goes_beyond_it(
    running: tuple[object, ...], limit: int, refused: bool
) -> None:
    replies = answers(instances=running, quotas=quota("L-417A185B", limit))
    assert bool(judged(want(), replies)) == refused


def test_a_quota_that_is_too_small_says_how_much_and_where_to_ask_for_more() -> None:
    (message,) = messages(want(), answers(instances=(instance(1),), quotas=quota("L-417A185B", 192)))
    assert message == (
        "target.instanceType: p5.48xlarge 2 instances need 384 vCPUs: the quota `Running On-Demand P instance"
        "s` in us-east-1 is 192, 192 are in use by others; ask for more (https://us-east-1.console.aws.amazon.com"
        "/servicequotas/home/services/ec2/quotas/L-417A185B) or take another region"
    )


def test_spot_of_new_types_is_refused_only_when_no_quota_that_may_count_it_is_large_enough() -> None:
    small = quota("L-7212CCBC", 0) | quota("L-C4BD4855", 0)
    (problem,) = judged(want(purchase="spot"), answers(quotas=small))
    assert "Spot" in problem.message
    for code in small:
        assert judged(want(purchase="spot"), answers(quotas=small | quota(code, 384))) == []


def test_reserved_capacity_is_held_against_no_quota() -> None:
    replies = answers(reservation=reservation(), quotas=quota("L-417A185B", 0))
    assert judged(want(**RESERVED), replies) == []


def test_a_dedicated_heads_quota_is_its_own() -> None:
    (problem,) = judged(want(head="dedicated"), answers(quotas=quota("L-1216C47A", 7)))
    assert problem.key == "target.headInstanceType"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"free": 1}, "has room for 1 of 2 instances, the plan needs 2"),
        ({"zone": "us-east-1b"}, "write `target.zone: us-east-1b`"),
        ({"type": "p4d.24xlarge"}, "is for p4d.24xlarge, the stack file says p5.48xlarge"),
        ({"option": "capacity-block"}, "is a capacity block; write `option: capacity-block`"),
        ({"placement_group": "near"}, "write `target.placementGroup: near`"),
        ({"state": "payment-pending"}, "is payment-pending, expected active"),
        ({"ends": NOW - timedelta(hours=1)}, "ended at 2026-11-25 09:00 UTC"),
        (
            {"starts": NOW + timedelta(days=1), "state": "scheduled"},
            "starts at 2026-11-26 10:00 UTC; run `up` then",
        ),
    ],
)
def test_a_reservation_that_does_not_hold_the_plan_is_refused(wrong: dict[str, object], message: str) -> None:
    (problem,) = judged(want(**RESERVED), answers(reservation=reservation(**wrong)))
    assert problem.value == RESERVATION
    assert message in problem.message


def test_a_reservation_that_is_not_there_is_refused() -> None:
    (problem,) = judged(want(**RESERVED), answers(reservation=None))
    assert "is not in this account" in problem.message


def test_a_capacity_block_counts_as_ended_when_ec2_begins_to_end_its_instances() -> None:
    ends = NOW + timedelta(minutes=30)
    block = reservation(option="capacity-block", ends=ends)
    (problem,) = judged(want(**BLOCK), answers(reservation=block))
    assert "ended at 2026-11-25 10:00 UTC" in problem.message
    later = replace(block, ends=ends + timedelta(minutes=1))
    assert judged(want(**BLOCK), answers(reservation=later)) == []


def test_what_the_stack_holds_of_a_reservation_is_free_for_it() -> None:
    existing = instance(1, fleet=FLEET, reservation=RESERVATION)
    replies = answers(reservation=reservation(free=1), instances=(existing,))
    assert judged(want(**RESERVED), replies) == []
    foreign = replace(existing, tags={})
    assert judged(want(**RESERVED), answers(reservation=reservation(free=1), instances=(foreign,)))


def test_a_reservation_that_holds_the_whole_fleet_is_not_judged_any_more() -> None:
    existing = tuple(instance(number, fleet=FLEET, reservation=RESERVATION) for number in (1, 2))
    replies = answers(reservation=reservation(state="expired", free=0), instances=existing)
    assert judged(want(**RESERVED), replies) == []


def test_a_full_reservation_is_not_refused_when_it_is_not_known_who_fills_it() -> None:
    replies = replace(
        answers(reservation=reservation(free=0)), instances=NoAnswer("which instances run", "denied")
    )
    assert judged(want(**RESERVED), replies) == []


def test_a_second_fleet_of_the_same_name_is_refused_with_what_to_do() -> None:
    rival = Fleet(FLEET.project, FLEET.stack, "ffeeddccbbaa9988")
    (problem,) = judged(want(), answers(instances=(instance(7, fleet=rival),), quotas={}))
    assert problem.subject == "stack: disagg"
    assert "ffeeddccbbaa9988" in problem.message
    assert "i-00000000000000007" in problem.message
    assert "pulumi login" in problem.message


def test_other_stacks_and_other_projects_are_no_second_fleet() -> None:
    others = (Fleet("dynamo", "agg", "f"), Fleet("another", "disagg", "f"))
    running = tuple(instance(number, fleet=fleet, vcpus=0) for number, fleet in enumerate(others))
    assert judged(want(), answers(instances=running)) == []


def test_where_the_state_is_not_known_every_fleet_of_the_name_is_ours() -> None:
    unknown = Fleet(FLEET.project, FLEET.stack)
    replies = answers(instances=(instance(1, fleet=FLEET), instance(2, fleet=FLEET)), quotas={})
    assert judged(want(), replies, unknown) == []


def test_elastic_ips_are_counted_with_those_of_others() -> None:
    assert want().elastic_ips == 2  # the head's and the NAT gateway's
    assert judged(want(), answers(addresses=Addresses(own=0, foreign=3))) == []
    (problem,) = judged(want(), answers(addresses=Addresses(own=0, foreign=4)))
    assert "needs 2 Elastic IPs: the quota in us-east-1 is 5, 4 are in use by others" in problem.message
    assert judged(want(), answers(addresses=Addresses(own=2, foreign=4))) == []


@pytest.mark.parametrize(
    ("subnet", "message"),
    [
        (None, "is not in this account and us-east-1"),
        (Subnet("subnet-01234567", "vpc-89abcdef", "us-east-1a", "10.9.0.0/24"), "`vpcId` says vpc-01234567"),
        (Subnet("subnet-01234567", "vpc-01234567", "us-east-1b", "10.9.0.0/24"), "write `zone: us-east-1b`"),
        (Subnet("subnet-01234567", "vpc-01234567", "us-east-1a", "10.9.1.0/24"), "10.9.1.0/24; write that"),
    ],
)
def test_an_existing_subnet_must_be_what_the_stack_file_says(subnet: Subnet | None, message: str) -> None:
    network = {"vpcId": "vpc-01234567", "subnetId": "subnet-01234567", "cidr": "10.9.0.0/24"}
    (problem,) = judged(want(network=network), answers(subnet=subnet))
    assert message in problem.message


def test_an_image_that_is_not_there_is_refused() -> None:
    (problem,) = judged(want(ami="ami-01234567"), answers(image=None))
    assert problem.subject == "target.ami: ami-01234567"


def test_no_answer_refuses_nothing_and_is_said_once_for_each_reason() -> None:
    missing = {field.name: NoAnswer(f"about {field.name}", "denied") for field in fields(good())}
    silent = replace(good(), **missing)
    assert judged(want(head="dedicated", **RESERVED), silent) == []
    (line,) = lines(want(), FLEET, silent)
    assert line.startswith("note       the account did not say about caller, about region_enabled")
    assert line.endswith(": denied")


def test_a_snapshot_never_refuses() -> None:
    bad = answers(
        region_enabled=False,
        offerings={P5: ()},
        types={P5: replace(INSTANCE_TYPES[P5], vcpus=1)},
        quotas=quota("L-417A185B", 0) | quota("L-0263D0A3", 0),
        image=None,
    )
    assert len(judged(want(), bad)) == 6
    old = {
        field.name: Answer(answer.value, "snapshot", datetime(2026, 1, 1, tzinfo=UTC))
        for field in fields(bad)
        if isinstance(answer := getattr(bad, field.name), Answer)
    }
    assert judged(want(), replace(bad, **old)) == []
