"""Fixtures for the tests of several packages of nodectl."""

from collections.abc import Iterator

import pytest

from tests.unit import cloud_standins as cloud
from tests.unit.cloud_standins import Etcd


@pytest.fixture
def store() -> Iterator[Etcd]:
    with cloud.etcd() as found:
        yield found
