"""Deployments in a scratch checkout; what a test left running is taken down and checked to be gone."""

from collections.abc import Iterator

import psutil
import pytest

from tests.engine.deployment.checkout import Checkout


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checkout]:
    """A scratch checkout for the tests of one file."""
    made = Checkout.make(tmp_path_factory.mktemp("checkout"))
    yield made
    for run in (made.path / ".run").glob("*/"):
        made.run("scripts/down", run.name, check=False)
    left = {process: " ".join(process.cmdline()) for process in made.processes()}
    for process in left:
        process.kill()
    psutil.wait_procs(left, timeout=10)
    assert not left, f"scripts/down left processes: {list(left.values())}"
