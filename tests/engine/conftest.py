"""What every engine test needs: the Pulumi CLI of `scripts/env`."""

import shutil

import pytest


@pytest.fixture(scope="session", autouse=True)
def pulumi() -> None:
    """Say at once, and once, how to get the CLI."""
    if not shutil.which("pulumi"):
        pytest.exit('no pulumi on PATH: run `eval "$(scripts/env)"` first, or use scripts/test engine')
