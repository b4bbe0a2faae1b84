"""A preview says what the account says of the plan, and nothing is created that a live answer refuses."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.aws.cloud.server import Cloud
from tests.aws.support.stacks import AwsStacks

STACK = "asked"
UP = ("up", "--yes", "--skip-preview")
RESERVATION = "cr-0123456789abcdef0"
P5 = "p5.48xlarge"
ZONE, OTHER_ZONE = "us-east-1a", "us-east-1b"
DAY = 86400.0


@pytest.fixture(scope="module")
def asked(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AwsStacks:
    """Give a checkout with a stack that was never brought up."""
    made = AwsStacks.make(tmp_path_factory.mktemp("asked"), cloud, nodes=False)
    made.write(STACK, "disagg")
    made.create(STACK)
    return made


@pytest.fixture
def account(asked: AwsStacks) -> Iterator[Cloud]:
    """Give the account to a test that changes what it reserved and allows."""
    yield asked.cloud
    asked.cloud.forget()


@pytest.fixture
def addresses(asked: AwsStacks) -> Iterator[int]:
    """Let others take addresses; return how many."""
    ec2 = asked.cloud.client("ec2")
    taken = [ec2.allocate_address(Domain="vpc")["AllocationId"] for _ in range(4)]
    yield len(taken)
    for allocation in taken:
        ec2.release_address(AllocationId=allocation)


def target(**keys: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        config["dynamo:target"] |= keys

    return change


def refusal(asked: AwsStacks, command: tuple[str, ...] = UP, **keys: Any) -> str:
    """Return what the program says that refuses a changed stack file, before anything is created."""
    asked.write(STACK, "disagg", target(**keys))
    before = asked.cloud.inventory()
    completed = asked.checkout.run("pulumi", *command, "--stack", STACK, check=False)
    assert completed.returncode != 0
    assert asked.cloud.inventory() == before
    output = completed.stdout + completed.stderr
    assert "nothing was created" in output
    return output


def reserve(account: Cloud, count: int = 2, **keys: Any) -> str:
    """Reserve instances of the stack's type in the account; return the reservation's id."""
    wanted = {"InstanceType": P5, "AvailabilityZone": ZONE, "InstancePlatform": "Linux/UNIX", **keys}
    made = account.client("ec2").create_capacity_reservation(InstanceCount=count, **wanted)
    return str(made["CapacityReservation"]["CapacityReservationId"])


def from_reservation(name: str, option: str = "reservation") -> dict[str, Any]:
    """Return the keys of a target whose instances are in a reservation."""
    return {"purchase": {"option": option, "reservationId": name}, "zone": ZONE}


def test_a_preview_says_what_the_account_says(asked: AwsStacks) -> None:
    asked.write(STACK, "disagg")
    output = asked.preview(STACK).said()
    assert "account    123456789012 · us-east-1 · live" in output
    assert "offered  p5.48xlarge in us-east-1a, us-east-1b" in output
    assert output.index("plan       aws") < output.index("account    123456789012")


@pytest.mark.parametrize("command", [("preview",), ("up", "--yes", "--skip-preview")])
def test_a_zone_without_the_type_is_refused_with_those_that_have_it(
    asked: AwsStacks, command: tuple[str, ...]
) -> None:
    output = refusal(asked, command, instanceType="p4de.24xlarge", zone="us-east-1a")
    assert "target.zone: us-east-1a" in output
    assert "does not offer p4de.24xlarge; write one of us-east-1b, us-east-1c" in output
    assert "nothing was created" in output


def test_a_type_that_the_region_has_not_is_refused(asked: AwsStacks) -> None:
    output = refusal(asked, instanceType="p5e.48xlarge")
    assert "target.instanceType: p5e.48xlarge" in output
    assert "is not offered in us-east-1; take another type, or another `aws:region`" in output


@pytest.mark.parametrize(
    ("option", "name", "code"),
    [
        ("on-demand", "Running On-Demand P instances", "L-417A185B"),
        ("spot", "All P5 Spot Instance Requests", "L-C4BD4855"),
    ],
)
def test_a_quota_of_vcpus_that_is_too_small_is_refused_as_the_instances_are_bought(
    asked: AwsStacks, account: Cloud, option: Any, name: str, code: str
) -> None:
    account.state.quotas["p", option] = 383
    output = refusal(asked, purchase=option)
    assert f"target.instanceType: {P5}" in output
    assert f"2 instances need 384 vCPUs: the quota `{name}` in us-east-1 is 383, 0 are in use" in output
    assert "ask for more (https://us-east-1.console.aws.amazon.com/servicequotas/" in output
    assert f"quotas/{code})" in output


def test_elastic_ips_that_others_hold_are_counted(asked: AwsStacks, addresses: int) -> None:
    output = refusal(asked)
    assert "target.network: 10.79.0.0/24" in output
    assert f"needs 2 Elastic IPs: the quota in us-east-1 is 5, {addresses} are in use by others" in output
    assert "release some, or ask for more (https://us-east-1.console.aws.amazon.com/servicequotas/" in output


def test_a_reservation_that_the_account_has_not_is_refused(asked: AwsStacks) -> None:
    output = refusal(asked, ("preview",), **from_reservation(RESERVATION))
    assert f"target.purchase.reservationId: {RESERVATION}" in output
    assert "is not in this account and us-east-1" in output


def test_a_reservation_that_is_full_is_refused(asked: AwsStacks, account: Cloud) -> None:
    full = reserve(account, 2)
    account.state.reservations[full].held.add("i-of-another")
    output = refusal(asked, **from_reservation(full))
    assert f"target.purchase.reservationId: {full}" in output
    assert "has room for 1 of 2 instances, the plan needs 2; enlarge it, wait some minutes" in output


def test_a_reservation_elsewhere_is_refused(asked: AwsStacks, account: Cloud) -> None:
    elsewhere = reserve(account, AvailabilityZone=OTHER_ZONE)
    output = refusal(asked, **from_reservation(elsewhere))
    assert f"target.purchase.reservationId: {elsewhere}" in output
    assert f"is in {OTHER_ZONE}, the stack would be in {ZONE}; write `target.zone: {OTHER_ZONE}`" in output


@pytest.mark.parametrize(
    ("start", "end", "expected"),
    [(DAY, 2 * DAY, "; run `up` then"), (-2 * DAY, -DAY, "; take another")],
    ids=["not yet", "no longer"],
)
def test_a_capacity_block_outside_its_dates_is_refused(
    asked: AwsStacks, account: Cloud, start: float, end: float, expected: str
) -> None:
    block = account.state.reservations[reserve(account)]
    now = time.time()
    block.kind, block.start, block.end = "capacity-block", now + start, now + end
    output = refusal(asked, **from_reservation(block.id, "capacity-block"))
    assert f"target.purchase.reservationId: {block.id}" in output
    assert f"{'starts' if start > 0 else 'ended'} at " in output
    assert expected in output


def test_what_the_account_does_not_say_refuses_nothing(asked: AwsStacks, account: Cloud) -> None:
    """The quota is too small, and whoever asks may not know it."""
    account.state.quotas["p", "on-demand"], account.state.tells_quotas = 0, False
    asked.write(STACK, "disagg")
    output = asked.preview(STACK).said()
    assert "the account did not say quotas: denied, allow servicequotas:GetServiceQuota" in output


def test_a_second_fleet_of_the_same_name_is_refused(asked: AwsStacks, account: Cloud, tmp_path: Path) -> None:
    """Somebody else's clone, whose state is there alone, has brought the stack up."""
    others = AwsStacks.make(tmp_path, account, nodes=False)
    others.write(STACK, "disagg")
    others.create(STACK)
    others.up(STACK)
    output = refusal(asked)
    assert f"stack: {STACK}" in output
    assert "already runs in this account from another state (dynamo-multinode:state: " in output
    assert "node-1 i-" in output
    assert "`pulumi login` to the backend that it was made with, or give this stack another name" in output


def test_the_end_of_a_capacity_block_stays_known_while_the_account_does_not_say_it(
    asked: AwsStacks, account: Cloud
) -> None:
    block = account.state.reservations[reserve(account)]
    block.kind, block.end = "capacity-block", time.time() + DAY
    stack = "block"

    def within(config: dict[str, Any]) -> None:
        config["dynamo:target"] |= from_reservation(block.id, "capacity-block")

    def by_nobody(config: dict[str, Any]) -> None:
        within(config)
        config["aws:noProxy"] = "10.0.0.0/8"

    asked.write(stack, "disagg", within)
    asked.create(stack)
    try:
        asked.up(stack)
        output = asked.preview(stack).said()
        assert "its instances end from" in output
        asked.checkout.unchanged(stack)
        asked.write(stack, "disagg", by_nobody)
        preview = asked.preview(stack)
        assert "account    not asked: aws:noProxy" in preview.said()
        assert {name for name in preview.steps() if "Command" in name} == set()
        state = asked.checkout.run("pulumi", "stack", "export", "--stack", stack).stdout
        assert f"{datetime.fromtimestamp(block.end, UTC):%Y-%m-%dT%H:%M:%SZ}" in state
    finally:
        asked.write(stack, "disagg", within)
        asked.destroy(stack)
