"""Deployments of simulated workers whose streams last seconds, so that changes meet requests in flight."""

from collections.abc import Callable, Iterator

import pytest

from nodectl.verbs import install
from tests.engine.rollout.fleet import Fleet
from tests.install_specs import generated, spec


@pytest.fixture(scope="session", autouse=True)
def installed() -> None:
    """The runtime and the generated model."""
    for name in ("tiny", "tiny-2"):
        install.provide(spec(model=generated(name)))


@pytest.fixture(scope="module")
def make(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Fleet]]:
    """Make fleets that are removed at the end."""
    made: list[Fleet] = []

    def fleet(name: str) -> Fleet:
        made.append(Fleet(tmp_path_factory.mktemp(name), name))
        return made[-1]

    yield fleet
    for created in made:
        created.remove()
