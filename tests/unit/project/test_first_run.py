"""The page for the first run on AWS: every point has a command, and what the commands name exists."""

import re
from pathlib import Path

import boto3
import pytest

PROJECT = Path(__file__).parents[3]
PAGE = (PROJECT / "docs/aws-first-run.md").read_text(encoding="utf-8")
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "| command |" not in line]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[2:50])
def test_every_point_has_a_command_and_what_it_should_show(row: str) -> None:
    what, command, expected = re.split(r"(?<!\\) \| ", row.strip("| "))
    assert what
    assert "`" in command
    assert expected


def test_what_cannot_be_known_here_is_on_it() -> None:
    for topic in ("placement group", "spot request", "EFA", "root", "releases", "gateway"):
        assert topic in PAGE


def test_the_questions_to_aws_are_ones_that_it_answers() -> None:
    asked = set(re.findall(r"aws ([a-z0-9-]+) ([a-z-]+)", PAGE))
    assert len(asked) > 5
    for service, operation in asked:
        client = boto3.client(service, region_name="us-east-1")
        assert operation.replace("-", "_") in client.meta.method_to_api_mapping, operation


def test_the_scripts_and_files_that_it_names_exist() -> None:
    for path in re.findall(r"(?:scripts|planning)/[\w/.-]+", PAGE):
        assert (PROJECT / path).exists(), path
