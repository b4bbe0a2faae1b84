"""Fixtures of the tests of target aws: the account that they run in, new for every file of tests."""

import os
from collections.abc import Iterator

import pulumi  # noqa: F401 -- first: the plugins' modules would make do with a part of it
import pytest

from tests.aws.cloud.server import Cloud
from tests.aws.support.machines import LabMachines
from tests.aws.support.stacks import AwsStacks


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what waits longest, so that the other files run beside it."""
    items.sort(key=lambda item: item.path.name != "test_up.py")


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


@pytest.fixture(scope="module")
def books(server: Cloud, tmp_path_factory: pytest.TempPathFactory) -> AwsStacks:
    """Give a checkout whose instances are entries in books, and whose node commands do nothing."""
    server.reset()
    return AwsStacks.make(tmp_path_factory.mktemp("checkout"), server, nodes=False)


@pytest.fixture(scope="session")
def machines() -> Iterator[LabMachines]:
    """Give hosts to instances, for tests that bring stacks up."""
    if os.geteuid() != 0:
        pytest.skip("instances are hosts of the lab, which boots machines and needs root: use sudo")
    made = LabMachines()
    yield made
    made.down()


@pytest.fixture(scope="module")
def stacks(
    server: Cloud, machines: LabMachines, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AwsStacks]:
    """Give a checkout whose instances are machines, in an empty account; it is left empty."""
    server.reset(machines)
    before = server.inventory()
    made = AwsStacks.make(tmp_path_factory.mktemp("checkout"), server)
    yield made
    for state in (made.checkout.path / ".state").glob(".pulumi/stacks/dynamo/*.json"):
        made.destroy(state.stem)
    machines.wait()
    assert not machines.failures
    assert server.inventory() == before
