"""The policy pack in the real engine: the shipped stacks pass, a program that was changed is refused."""

from pathlib import Path

import pytest

from tests.aws.cloud.server import Cloud
from tests.aws.support.stacks import AwsStacks

PLANTED = {
    "components/aws/template.py": [
        ('"http_tokens": "required"', '"http_tokens": "optional"'),
        ('"encrypted": "true"', '"encrypted": "false"'),
    ],
    "components/aws/fleet.py": [("public=node.head and ", "public=")],
    "components/aws/machine.py": [
        ('ec2.Eip("head"', "ec2.Eip(name"),
        ('ec2.EipAssociation(\n                "head"', "ec2.EipAssociation(\n                name"),
    ],
}
"""File of the program -> what is changed there."""


@pytest.fixture(scope="module")
def stacks(tmp_path_factory: pytest.TempPathFactory, cloud: Cloud) -> AwsStacks:
    return AwsStacks.make(tmp_path_factory.mktemp("checkout"), cloud)


@pytest.mark.parametrize("shipped", ["agg", "disagg", "large"])
def test_a_shipped_stack_passes(stacks: AwsStacks, shipped: str) -> None:
    stacks.write(shipped, shipped)
    stacks.create(shipped)
    printed = stacks.checkout.run("pulumi", "preview", "--stack", shipped).stdout
    assert "✅ dynamo-multinode@v0.1.0" in printed


def test_a_program_that_breaks_rules_is_refused_before_anything_is_created(
    stacks: AwsStacks, cloud: Cloud
) -> None:
    for name, changes in PLANTED.items():
        path: Path = stacks.checkout.path / name
        text = path.read_text(encoding="utf-8")
        for right, wrong in changes:
            assert right in text
            text = text.replace(right, wrong)
        path.write_text(text, encoding="utf-8")
    stacks.write("wrong", "disagg")
    stacks.create("wrong")
    before = cloud.inventory()
    refusal = stacks.checkout.run("pulumi", "up", "--yes", "--stack", "wrong", check=False)
    printed = refusal.stdout + refusal.stderr
    assert refusal.returncode != 0
    assert "❌ dynamo-multinode@v0.1.0" in printed
    for rule in ("imds-v2", "encrypted-volumes", "elastic-addresses", "no-public-worker"):
        assert f"[mandatory]  {rule} " in printed, printed
    assert "node-2: lets IMDSv1 answer (httpTokens is optional); set `metadataOptions`" in printed
    assert cloud.inventory() == before


def test_ci_says_why_a_program_is_refused(stacks: AwsStacks) -> None:
    """Runs after the test above, whose program it is."""
    result = stacks.checkout.run("scripts/ci-preview", "wrong", check=False)
    assert result.returncode == 1
    assert "### `wrong`: would not be brought up" in result.stdout
    assert "imds-v2: " in result.stdout
    assert "node-2: lets IMDSv1 answer" in result.stdout
