"""Fixtures: an AWS account on this machine, by moto's server, for tests of what asks one."""

from collections.abc import Iterator

import httpx
import pytest
from moto.server import ThreadedMotoServer

from account import instance_power, login, queries

NOWHERE = "http://127.0.0.1:9"
"""The discard port: nobody listens."""


@pytest.fixture
def no_account(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Give credentials that no account knows, and nothing of who runs the tests."""
    for name in ("AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    empty = tmp_path_factory.mktemp("aws") / "none"
    monkeypatch.setenv("AWS_CONFIG_FILE", str(empty))
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(empty))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_ENDPOINT_URL", NOWHERE)


@pytest.fixture(scope="session")
def account_server() -> Iterator[str]:
    moto = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield f"http://{host}:{port}"
    moto.stop()


@pytest.fixture
def account(account_server: str, no_account: None, monkeypatch: pytest.MonkeyPatch) -> str:
    """Point everything to an account without anything in it."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", account_server)
    httpx.post(f"{account_server}/moto-api/reset", timeout=60).raise_for_status()
    # a busy machine is no account that does not answer
    monkeypatch.setattr(login, "READ_SECONDS", 60)
    monkeypatch.setattr(queries, "_OVERALL_SECONDS", 120)
    return account_server


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ask in short order whether instances are there."""
    monkeypatch.setattr(instance_power, "POLL_SECONDS", 0.01)
