"""One aggregated and one disaggregated deployment for all tests of the proof; a test mends what it broke."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from nodectl.proof.proving import prove
from nodectl.verbs.install import provide
from program.loopback import first_address
from tests.engine.proof.deployment import MODEL, PORTS, Deployment
from tests.install_specs import generated, spec


@pytest.fixture(scope="session")
def runtime() -> tuple[Path, Path]:
    """Interpreter of the mocker runtime and folder of the generated model."""
    found = provide(spec(model=generated(MODEL)))
    return Path(found["python"]), Path(found["model"])


@pytest.fixture(scope="session")
def agg(runtime: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Two aggregated workers on two nodes."""
    with _running(runtime, tmp_path_factory.mktemp("agg"), ["aggregated", "aggregated"]) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def disagg(runtime: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """One prefill and two decode workers on three nodes."""
    with _running(runtime, tmp_path_factory.mktemp("disagg"), ["prefill", "decode", "decode"]) as deployment:
        yield deployment


@contextmanager
def _running(runtime: tuple[Path, Path], folder: Path, roles: Sequence[str]) -> Iterator[Deployment]:
    """Start a worker of each role on a node of its own, and wait until all of it serves."""
    network = first_address(folder, "proof", folder, PORTS).rpartition(".")[0]
    deployment = Deployment(*runtime, folder, network)
    try:
        deployment.start_head()
        for node, role in enumerate(roles, start=1):
            deployment.workers.append(deployment.planned(role, roles[: node - 1].count(role), node=node))
            deployment.start_worker(deployment.workers[-1])
        proof = asyncio.run(prove(deployment.spec(), print))
        assert proof.result.ok, proof.result.checks[-1]
        yield deployment
    finally:
        deployment.stop()
