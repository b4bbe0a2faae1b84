"""An AWS account on this machine, by moto's server, for tests of what asks one."""

from collections.abc import Iterator
from typing import Any

import boto3
import httpx
import pytest
from moto.server import ThreadedMotoServer

from account.fleet import PROJECT_TAG, STACK_TAG, Fleet
from planning.aws.state import STATE_TAG
from tests.unit.account_examples import P5

REGION = "us-east-1"
IMAGE = "ami-12c6146b"
"""One that moto has from the start."""

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
    httpx.post(f"{account_server}/moto-api/reset").raise_for_status()
    return account_server


def client(service: Any) -> Any:
    return boto3.client(service, region_name=REGION)


def launch(count: int = 1, instance_type: str = P5, **tags: str) -> list[str]:
    """Launch instances in the account, with tags."""
    ec2 = client("ec2")
    given = {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    launched = ec2.run_instances(
        ImageId=IMAGE,
        MinCount=count,
        MaxCount=count,
        InstanceType=instance_type,
        TagSpecifications=[{"ResourceType": "instance", **given}] if tags else [],
    )
    return [each["InstanceId"] for each in launched["Instances"]]


def tags_of(fleet: Fleet) -> dict[str, str]:
    return {PROJECT_TAG: fleet.project, STACK_TAG: fleet.stack, STATE_TAG: fleet.state or ""}
