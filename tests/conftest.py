"""Settings for every tier: no time limit on generated examples, and one on the beginning of slow tests."""

import os
import time

import hypothesis
import pytest

hypothesis.settings.register_profile("unhurried", deadline=None)
hypothesis.settings.load_profile("unhurried")


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a slow test, before its fixtures, once the time is over that `scripts/test` was given."""
    until = os.environ.get("TEST_SLOW_UNTIL")
    if until and item.get_closest_marker("slow") and time.time() >= float(until):
        pytest.skip("no time left: scripts/test was given TEST_MINUTES")
