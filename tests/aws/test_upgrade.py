"""A stack that an earlier release brought up is upgraded: the present program makes and loses nothing of it.

`tests/aws/states` holds for each release, of a stack on AWS and one on existing machines, the stack file and
the state that `up` of it left. With `WRITE_AWS_STATE=1` the present release's are written, from stacks of
this program in the tests' account: to be done when `version` in pyproject.toml changes. What depends on the
machine is left out: times, where in the sources a resource was made, and which backend the tags are of.
Secrets stay encrypted with the tests' passphrase; the keys among them open nothing, as no machine was made
with them.
"""

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
import yaml

from planning.aws.state import state_digest
from settings.encrypted import PASSPHRASE as EVERYBODYS
from settings.encrypted import is_everybodys
from tests.aws.support.stacks import AwsStacks, Preview
from tests.engine.deployment.checkout import PROJECT
from tests.passphrase import OWN

AWS: Final = "disagg"
HOSTS: Final = "lab-disagg"
STATES: Final = Path(__file__).parent / "states"
WRITE: Final = "WRITE_AWS_STATE"
"""Environment variable: set, the state of the present release is written, to be committed."""

VERSION: Final = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
RELEASES: Final = sorted({VERSION, *(path.name for path in STATES.glob("*"))})

OF_THE_MACHINE: Final = ("created", "modified", "sourcePosition", "stackTrace")
OWNER: Final = "the backend's digest"
"""Stands in a recorded state for what the tags have of the backend."""

UNSAID: Final = ("0.1.0",)
"""Releases by whose stacks NATS and etcd of the package index were run without a word of it."""

KEPT: Final = ("same", "update", "read")
DROPPED: Final = ("members",)
"""Resources that later releases drop: commands that left nothing on a machine, and components, by name."""

MERGED: Final = ("dynamo:node:Runtime", "dynamo:node:Secrets", "dynamo:node:Reach")
"""Components up to 0.2.0 whose children are those of dynamo:node:Deployment now."""

ADDED: Final = ("dynamo:aws:Endpoints disagg", "aws:ec2/vpcEndpoint:VpcEndpoint s3")
"""Resources that later releases add: S3's gateway endpoint, which costs nothing."""


@pytest.fixture(scope="module")
def stacks(books: AwsStacks) -> AwsStacks:
    """Give a checkout, after the present release's states were recorded if that is asked for."""
    if os.environ.get(WRITE):
        for stack in (AWS, HOSTS):
            record(books, stack)
    assert (STATES / VERSION).exists(), f"no states of {VERSION}: run with {WRITE}=1"
    return books


def owner(stacks: AwsStacks, stack: str) -> str:
    """Return what the tags have of this checkout's backend."""
    return state_digest(stacks.checkout.env["PULUMI_BACKEND_URL"], "organization", "dynamo", stack)


def use_passphrase(stacks: AwsStacks, file: str) -> None:
    """Make Pulumi use the passphrase that a stack file was made with: the documented one, or the tests'."""
    everybodys = is_everybodys(yaml.safe_load(file))
    stacks.checkout.env["PULUMI_CONFIG_PASSPHRASE"] = EVERYBODYS if everybodys else OWN


def record(stacks: AwsStacks, stack: str) -> None:
    """Bring a shipped stack up and write down its file and its state."""
    file = stacks.checkout.path / f"stacks/Pulumi.{stack}.yaml"
    if stack == AWS:
        stacks.write(stack, stack)
    use_passphrase(stacks, file.read_text(encoding="utf-8"))
    stacks.create(stack)
    stacks.up(stack)
    state = json.loads(stacks.checkout.run("pulumi", "stack", "export", "--stack", stack).stdout)
    for resource in state["deployment"]["resources"]:
        for key in OF_THE_MACHINE:
            resource.pop(key, None)
    text = json.dumps(state, indent=1).replace(owner(stacks, stack), OWNER)
    assert str(stacks.checkout.path) not in text
    assert str(Path.home()) not in text
    recorded = STATES / VERSION / f"{stack}.json"
    recorded.parent.mkdir(parents=True, exist_ok=True)
    recorded.write_text(f"{text}\n", encoding="utf-8")
    recorded.with_suffix(".yaml").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    stacks.destroy(stack)


def upgraded(stacks: AwsStacks, release: str, stack: str = AWS) -> Preview:
    """Return what `up` would do to a stack of a release."""
    recorded = STATES / release / f"{stack}.json"
    imported = stacks.checkout.path / "state.json"
    state = recorded.read_text(encoding="utf-8").replace(OWNER, owner(stacks, stack))
    imported.write_text(state, encoding="utf-8")
    file = stacks.checkout.path / f"stacks/Pulumi.{stack}.yaml"
    text = recorded.with_suffix(".yaml").read_text(encoding="utf-8")
    file.write_text(text, encoding="utf-8")
    use_passphrase(stacks, text)
    stacks.create(stack)
    stacks.checkout.run("pulumi", "stack", "import", "--stack", stack, "--file", str(imported))
    return stacks.preview(stack)


def lost_and_made(preview: Preview) -> list[str]:
    """Return every resource that does not stay, with what would be done to it.

    Without providers, and without what later releases drop on purpose.
    """
    return sorted(
        f"{step} {kind} {name}"
        for kind, name, step in preview.all_steps()
        if step not in KEPT and not kind.startswith("pulumi:providers:")
        if not (step == "delete" and (name in DROPPED or kind in MERGED))
        if not (step == "create" and f"{kind} {name}" in ADDED)
    )


@pytest.mark.parametrize(
    ("stack", "some"),
    [
        (AWS, {"dynamo:aws:Machine", "aws:ec2/instance:Instance", "command:local:Command"}),
        (HOSTS, {"dynamo:node:Deployment", "command:local:Command"}),
    ],
    ids=["on AWS", "on existing machines"],
)
@pytest.mark.parametrize("release", RELEASES)
def test_a_stack_of_a_release_keeps_every_resource(
    stacks: AwsStacks, release: str, stack: str, some: set[str]
) -> None:
    preview = upgraded(stacks, release, stack)
    assert some <= preview.types()
    assert lost_and_made(preview) == [], "a renamed component needs `aliases`: see components/__init__.py"
    told = "NATS and etcd come from `release` in place of `bundled`: data stay" in preview.said()
    assert told is (release in UNSAID), "what becomes of its stores"


@pytest.fixture
def machine(stacks: AwsStacks) -> Iterator[Path]:
    """Give a file of the program to change; it is as it was afterwards."""
    path = stacks.checkout.path / "components/aws/machine.py"
    before = path.read_text(encoding="utf-8")
    yield path
    path.write_text(before, encoding="utf-8")


def rename(machine: Path, opts: str) -> None:
    """Give the component of a node's instance another type."""
    before, after = 'super().__init__("dynamo:aws:Machine", name, None, opts)', "dynamo:aws:Host"
    text = machine.read_text(encoding="utf-8")
    assert before in text
    renamed = f'super().__init__("{after}", name, None, {opts})'
    machine.write_text(text.replace(before, renamed), encoding="utf-8")


def test_a_component_that_is_renamed_without_an_alias_is_found(stacks: AwsStacks, machine: Path) -> None:
    rename(machine, "opts")
    found = lost_and_made(upgraded(stacks, VERSION))
    for node in ("node-1", "node-2"):
        assert f"create dynamo:aws:Host {node}" in found
        assert f"delete dynamo:aws:Machine {node}" in found
        assert f"create aws:ec2/instance:Instance {node}" in found
        assert f"delete aws:ec2/instance:Instance {node}" in found


def test_a_component_that_is_renamed_with_an_alias_keeps_its_resources(
    stacks: AwsStacks, machine: Path
) -> None:
    alias = 'pulumi.ResourceOptions(aliases=[pulumi.Alias(type_="dynamo:aws:Machine")])'
    rename(machine, f"pulumi.ResourceOptions.merge(opts, {alias})")
    preview = upgraded(stacks, VERSION)
    assert "dynamo:aws:Host" in preview.types()
    assert lost_and_made(preview) == []
