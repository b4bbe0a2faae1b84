"""What the tests of target aws share: the account that they run in, new for every file of tests."""

from collections.abc import Iterator

import pytest

from tests.aws.cloud.server import Cloud


@pytest.fixture(scope="session")
def server() -> Iterator[Cloud]:
    """Give the one server of this test run."""
    made = Cloud()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def cloud(server: Cloud) -> Cloud:
    """Give an empty account to the tests of one file."""
    server.reset()
    return server
