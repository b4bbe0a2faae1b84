"""Fixtures of every engine test: the Pulumi CLI of `scripts/env`."""

import shutil
from typing import Final

import pytest

LONGEST: Final = (
    "deployment/test_generated.py",
    "deployment/test_first_steps.py",
    "deployment/test_survival.py",
    "deployment/test_refusals_and_secrets.py",
    "deployment/test_frontends.py",
    "deployment/test_changes.py",
    "rollout/test_rolling.py",
    "rollout/test_trouble.py",
    "runtimes/test_runtimes.py",
    "engine/test_flag_values.py",
    "engine/test_argument_parsers.py",
)
"""Files that take minutes, the longest first."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the longest files: two workers that take a file each then end at about the same time."""
    places = {name: place for place, name in enumerate(LONGEST)}
    items.sort(key=lambda item: places.get("/".join(item.path.parts[-2:]), len(places)))


@pytest.fixture(scope="session", autouse=True)
def pulumi() -> None:
    """Say at once, and once, how to get the CLI."""
    if not shutil.which("pulumi"):
        pytest.exit('no pulumi on PATH: run `eval "$(scripts/env)"` first, or use scripts/test engine')
