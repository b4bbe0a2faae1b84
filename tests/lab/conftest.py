"""Fixtures of every test on real hosts: a lab of their own, apart from one that is up by hand."""

import os
from collections.abc import Callable, Iterator

import pytest

from tests.lab.stacks import NETWORK
from tools.hostlab.lab import Lab


@pytest.fixture(scope="session")
def lab() -> Iterator[Callable[[int], Lab]]:
    """Give the lab by the number of hosts that a test needs: `lab(2)` has lab-1, lab-2, perhaps more, ready.

    All tests share the hosts, which keep their disks; who needs them as new calls `lab(1).down()` first.
    """
    if os.geteuid() != 0:
        pytest.exit("tests/lab boots machines and needs root: use sudo, or leave it out")
    lab = Lab(NETWORK)
    lab.down()  # of a run that was killed

    def with_hosts(count: int) -> Lab:
        lab.up(max(count, len(lab.hosts)))
        return lab

    yield with_hosts
    lab.down()
