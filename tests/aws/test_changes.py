"""docs/aws-changes.md has the effect on AWS of every change of a stack file: the real engine previews it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.aws.support import changes
from tests.aws.support.stacks import AwsStacks, Change, Preview

STACK = "base"
TABLE = Path(__file__).parents[2] / "docs/aws-changes.md"
HEADER = """\
| change | on AWS | nodes set up | services on nodes that stay |
|---|---|---|---|
"""
WRITE = "WRITE_AWS_CHANGES"
"""Environment variable: set, the test writes the table, to be read before it is committed."""

AT_ONCE = min(os.cpu_count() or 1, 4)


@pytest.fixture(scope="module")
def deployed(books: AwsStacks) -> AwsStacks:
    """Bring up the stack that the changes are made to, and have AWS publish a newer image afterwards."""
    books.write(STACK, "disagg", changes.base)
    books.create(STACK)
    books.up(STACK)
    books.cloud.publish_image("newer")
    return books


@pytest.fixture(scope="module")
def previews(deployed: AwsStacks) -> dict[str, Preview]:
    """Preview every change, some at once."""

    def preview(number: int, change: Change) -> Preview:
        def both(config: changes.Config) -> None:
            changes.base(config)
            change(config)

        return deployed.preview(STACK, config=deployed.write(f"row-{number}", "disagg", both))

    with ThreadPoolExecutor(AT_ONCE) as pool:
        found = pool.map(preview, range(len(changes.ROWS)), changes.ROWS.values())
        return dict(zip(changes.ROWS, found, strict=True))


def test_every_change_does_what_the_table_says(previews: dict[str, Preview]) -> None:
    before, after = TABLE.read_text(encoding="utf-8").split(HEADER)
    rest = after.partition("\n\n")[2]
    seen = "".join(f"{changes.row(what, preview)}\n" for what, preview in previews.items())
    right = f"{before}{HEADER}{seen}\n{rest}"
    if os.environ.get(WRITE):
        TABLE.write_text(right, encoding="utf-8")
    assert right.splitlines() == TABLE.read_text(encoding="utf-8").splitlines(), f"run with {WRITE}=1"


def test_an_image_that_aws_publishes_replaces_nothing_until_its_release_changes(
    previews: dict[str, Preview],
) -> None:
    assert previews["a remark, or another order of keys"].steps("aws:") == {}
    asked = previews["`target.ami.release`"].steps("aws:")
    assert {name for name, step in asked.items() if step == "replace"} == {
        f"Instance:node-{number}" for number in (1, 2, 3)
    }


def test_no_change_of_tags_ranges_or_services_replaces_a_machine(previews: dict[str, Preview]) -> None:
    for what in (
        "`target.tags`",
        "one more of `target.adminRanges`",
        "one less of `target.clientRanges`",
        "a flag of decode",
        "an environment variable of decode",
        "a flag of the frontend",
        "`model.name`",
    ):
        assert "replace" not in previews[what].steps("aws:").values(), what


@pytest.fixture
def elsewhere(deployed: AwsStacks, tmp_path: Path) -> AwsStacks:
    """Give another operator's checkout, on another machine, with the same state."""
    path = tmp_path / "elsewhere"
    path.mkdir()
    other = AwsStacks.make(path, deployed.cloud, nodes=False)
    colleague = {"HOME": str(tmp_path), "USER": "colleague", "SSH_AUTH_SOCK": ""}
    same = {"PULUMI_BACKEND_URL": deployed.checkout.env["PULUMI_BACKEND_URL"]}
    other.checkout.env.update(colleague | same)
    other.write(STACK, "disagg", changes.base)
    return other


def test_a_colleague_previews_no_change_and_a_new_version_lock_replaces_no_machine(
    elsewhere: AwsStacks,
) -> None:
    elsewhere.checkout.unchanged(STACK)
    assert not (elsewhere.checkout.path / ".run").exists(), "a preview writes nothing"
    lock = elsewhere.checkout.path / "nodectl/versions/mocker.txt"
    lock.write_text(lock.read_text(encoding="utf-8") + "# another version\n", encoding="utf-8")
    preview = elsewhere.preview(STACK)
    assert preview.steps("aws:") == {}
    assert set(preview.steps("command:").values()) == {"update"}
    assert changes.services(preview).startswith("restarts decode-0, decode-1,")


def test_a_head_that_is_gone_is_made_anew_and_changes_nothing_of_workers(deployed: AwsStacks) -> None:
    ec2 = deployed.cloud.client("ec2")
    wanted = [{"Name": "private-ip-address", "Values": ["10.79.0.11"]}]
    head = ec2.describe_instances(Filters=wanted)["Reservations"][0]["Instances"][0]["InstanceId"]
    ec2.terminate_instances(InstanceIds=[head])
    steps = deployed.preview(STACK, "--refresh").steps()
    assert steps["Instance:node-1"] == "create"
    assert not [name for name in steps if "node-2" in name or "node-3" in name]
