"""Pulumi's rewriting of a stack file is undone, except for the key that it adds."""

from pathlib import Path

import pytest

from operations.stackfile import kept_as_written

WRITTEN = """\
# mine
config:
  dynamo:proofSeconds: 40 # at most
  dynamo:roles: {aggregated: {flags: {a: 1.10, b: 4.0}}}
"""
REWRITTEN = """\
# mine
config:
  dynamo:proofSeconds: "40" # at most
  dynamo:roles: {aggregated: {flags: {a: 1.1, b: 4}}}
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "Pulumi.x.yaml"
    file.write_text(WRITTEN)
    return file


@pytest.mark.parametrize("added", ["", "encryptionsalt: v1:abc=\n", "secretsprovider: awskms://x\n"])
def test_only_keys_of_pulumi_are_added(path: Path, added: str) -> None:
    with kept_as_written(path):
        path.write_text(REWRITTEN + added)
    assert path.read_text() == WRITTEN + added


def test_a_file_that_came_to_mean_something_else_stays_as_pulumi_wrote_it(path: Path) -> None:
    changed = REWRITTEN.replace("1.1", "1.2")
    with kept_as_written(path):
        path.write_text(changed)
    assert path.read_text() == changed


def test_another_key_of_pulumi_in_place_of_one_stays_as_pulumi_wrote_it(path: Path) -> None:
    path.write_text(WRITTEN + "encryptionsalt: v1:abc\n")
    with kept_as_written(path):
        path.write_text(REWRITTEN + "encryptionsalt: v1:def\n")
    assert path.read_text() == REWRITTEN + "encryptionsalt: v1:def\n"
