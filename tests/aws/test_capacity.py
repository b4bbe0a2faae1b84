"""A type that is sold out ends `pulumi up` within minutes: the project bounds how often EC2 is asked."""

from typing import Any

from tests.aws.support.stacks import AwsStacks

NODES = 2
STACK = "sold-out"


def tried(books: AwsStacks) -> int:
    """Return how often EC2 was asked, in an `up` that ends for want of capacity."""
    books.cloud.state.asked_in_vain = 0
    up = ("pulumi", "up", "--yes", "--skip-preview", "--continue-on-error", "--stack", STACK)
    completed = books.checkout.run(*up, check=False)
    assert completed.returncode
    assert "InsufficientInstanceCapacity" in completed.stdout + completed.stderr
    return books.cloud.state.asked_in_vain


def twice(config: dict[str, Any]) -> None:
    config["aws:maxRetries"] = 2


def test_ec2_without_capacity_is_asked_as_often_as_the_project_or_else_the_stack_file_says(
    books: AwsStacks,
) -> None:
    books.cloud.state.sold_out.add(("p5.48xlarge", "us-east-1a"))
    books.write(STACK, "disagg")
    books.create(STACK)
    try:
        assert tried(books) == NODES * 11
        books.write(STACK, "disagg", twice)
        assert tried(books) == NODES * 2
    finally:
        books.destroy(STACK)
