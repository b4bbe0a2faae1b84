"""A stack that an earlier release brought up is upgraded: the present program makes and loses nothing of it.

`tests/aws/states` holds, for each release, a stack file and the state that `up` of it left. With
`WRITE_AWS_STATE=1` the present release's are written, from a stack of this program in the tests' account: to
be done when `version` in pyproject.toml changes. What depends on the machine is left out: times, where in the
sources a resource was made, and which backend the tags are of. Secrets stay encrypted with the tests'
passphrase; the keys among them open nothing, since no machine was ever made with them.
"""

import json
import os
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from planning.aws.state import state_digest
from tests.aws.stacks import AwsStacks, Preview
from tests.engine.deployment.checkout import PROJECT

STACK: Final = "disagg"
STATES: Final = Path(__file__).parent / "states"
WRITE: Final = "WRITE_AWS_STATE"
"""Environment variable: set, the state of the present release is written, to be committed."""

VERSION: Final = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
RELEASES: Final = sorted({VERSION, *(path.stem for path in STATES.glob("*.json"))})

OF_THE_MACHINE: Final = ("created", "modified", "sourcePosition", "stackTrace")
OWNER: Final = "the backend's digest"
"""Stands in a recorded state for what the tags have of the backend."""

KEPT: Final = ("same", "update", "read")
DROPPED: Final = ("members",)
"""What later releases do without: commands that left nothing on a machine, and their components, by name."""


@pytest.fixture(scope="module")
def stacks(books: AwsStacks) -> AwsStacks:
    """Give a checkout, after the present release's state was recorded if that is asked for."""
    if os.environ.get(WRITE):
        record(books, VERSION)
    assert (STATES / f"{VERSION}.json").exists(), f"no state of {VERSION}: run with {WRITE}=1"
    return books


def backend_digest(stacks: AwsStacks) -> str:
    return state_digest(stacks.checkout.env["PULUMI_BACKEND_URL"], "organization", "dynamo", STACK)


def record(stacks: AwsStacks, release: str) -> None:
    """Bring the shipped stack up and write down its file and its state."""
    file = stacks.write(STACK, STACK)
    stacks.create(STACK)
    stacks.up(STACK)
    state = json.loads(stacks.checkout.run("pulumi", "stack", "export", "--stack", STACK).stdout)
    for resource in state["deployment"]["resources"]:
        for key in OF_THE_MACHINE:
            resource.pop(key, None)
    text = json.dumps(state, indent=1).replace(backend_digest(stacks), OWNER)
    assert str(stacks.checkout.path) not in text
    assert str(Path.home()) not in text
    (STATES / f"{release}.json").write_text(f"{text}\n", encoding="utf-8")
    (STATES / f"{release}.yaml").write_text(file.read_text(encoding="utf-8"), encoding="utf-8")
    stacks.destroy(STACK)


def upgraded(stacks: AwsStacks, release: str) -> Preview:
    """Return what `up` would do to the stack of a release."""
    state = (STATES / f"{release}.json").read_text(encoding="utf-8")
    imported = stacks.checkout.path / "state.json"
    imported.write_text(state.replace(OWNER, backend_digest(stacks)), encoding="utf-8")
    file = stacks.checkout.path / f"stacks/Pulumi.{STACK}.yaml"
    file.write_text((STATES / f"{release}.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    stacks.create(STACK)
    stacks.checkout.run("pulumi", "stack", "import", "--stack", STACK, "--file", str(imported))
    return stacks.preview(STACK)


def lost_and_made(preview: Preview) -> list[str]:
    """Return every resource that does not stay, with what would be done to it.

    Without providers, and without what later releases drop on purpose.
    """
    return sorted(
        f"{step} {kind} {name}"
        for kind, name, step in preview.all_steps()
        if step not in KEPT and not kind.startswith("pulumi:providers:")
        if not (step == "delete" and name in DROPPED)
    )


@pytest.mark.parametrize("release", RELEASES)
def test_a_stack_of_a_release_keeps_every_resource(stacks: AwsStacks, release: str) -> None:
    preview = upgraded(stacks, release)
    assert {"dynamo:aws:Machine", "aws:ec2/instance:Instance", "command:local:Command"} <= preview.types()
    assert lost_and_made(preview) == [], "a renamed component needs `aliases`: see components/__init__.py"


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
