"""A preview says what the account says of the plan, and nothing is created that a live answer refuses."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.aws.cloud.server import Cloud
from tests.aws.stacks import AwsStacks

STACK = "asked"
RESERVATION = "cr-0123456789abcdef0"


@pytest.fixture(scope="module")
def asked(cloud: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AwsStacks:
    """Give a checkout with a stack that was never brought up: no instance is launched, no host is needed."""
    made = AwsStacks.make(tmp_path_factory.mktemp("asked"), cloud)
    made.write(STACK, "disagg")
    made.create(STACK)
    return made


def target(**keys: Any) -> Callable[[dict[str, Any]], None]:
    def change(config: dict[str, Any]) -> None:
        config["dynamo:target"] |= keys

    return change


def refusal(asked: AwsStacks, command: tuple[str, ...], **keys: Any) -> str:
    """Return what the program says that refuses a changed stack file."""
    asked.write(STACK, "disagg", target(**keys))
    before = asked.cloud.inventory()
    done = asked.checkout.run("pulumi", *command, "--stack", STACK, check=False)
    assert done.returncode != 0
    assert asked.cloud.inventory() == before
    return done.stdout + done.stderr


def test_a_preview_says_what_the_account_says(asked: AwsStacks) -> None:
    asked.write(STACK, "disagg")
    said = asked.preview(STACK).said()
    assert "account    123456789012 · us-east-1 · live" in said
    assert "offered  p5.48xlarge in us-east-1a, us-east-1b" in said
    assert said.index("plan       aws") < said.index("account    123456789012")


@pytest.mark.parametrize("command", [("preview",), ("up", "--yes", "--skip-preview")])
def test_a_zone_without_the_type_is_refused_with_those_that_have_it(
    asked: AwsStacks, command: tuple[str, ...]
) -> None:
    said = refusal(asked, command, instanceType="p4de.24xlarge", zone="us-east-1a")
    assert "target.zone: us-east-1a" in said
    assert "does not offer p4de.24xlarge; write one of us-east-1b, us-east-1c" in said
    assert "nothing was created" in said


def test_a_reservation_that_the_account_has_not_is_refused(asked: AwsStacks) -> None:
    purchase = {"option": "reservation", "reservationId": RESERVATION}
    said = refusal(asked, ("preview",), purchase=purchase, zone="us-east-1a")
    assert f"target.purchase.reservationId: {RESERVATION}" in said
    assert "is not in this account and us-east-1" in said
