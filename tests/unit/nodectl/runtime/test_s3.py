"""A model from S3: what is fetched, what is kept, what goes; against moto's server on loopback."""

import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import boto3
import pytest
from moto.server import ThreadedMotoServer

from nodectl.common.errors import BadInputError
from nodectl.contract.runtime import ModelSource
from nodectl.runtime import models
from nodectl.runtime import s3 as s3_script
from tests.unit import cloud_standins as cloud

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

URI = "s3://models/llama/instruct"


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    found = ThreadedMotoServer("127.0.0.1", 0)
    found.start()
    host, port = found.get_host_and_port()
    yield f"http://{host}:{port}"
    found.stop()


@pytest.fixture
def s3(server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator["S3Client"]:
    """Yield a client, with a bucket that holds a model and something else."""
    for name, value in {
        "AWS_ENDPOINT_URL_S3": server,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    client = boto3.client("s3")
    client.create_bucket(Bucket="models")
    for name, text in {
        "llama/instruct/config.json": "{}",
        "llama/instruct/model-1.safetensors": "one",
        "llama/instruct/original/params.json": "deep",
        "llama/instruct/": "",
        "llama/instruct-2/config.json": "another",
    }.items():
        client.put_object(Bucket="models", Key=name, Body=text.encode())
    yield client
    for page in client.get_paginator("list_objects_v2").paginate(Bucket="models"):
        for item in page.get("Contents", ()):
            client.delete_object(Bucket="models", Key=item["Key"])
    client.delete_bucket(Bucket="models")


class Syncing:
    """Synchronises into one folder."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder = folder / "model"
        self.record = folder / "record"
        self._capsys = capsys

    def fetched(self, uri: str = URI) -> int:
        """Return how many files were fetched."""
        s3_script.main(uri, str(self.folder), str(self.record))
        return int(self._capsys.readouterr().out.split("of which ")[1].split()[0])

    def refused(self, uri: str = URI) -> str:
        """Return the reason."""
        with pytest.raises(SystemExit) as refusal:
            s3_script.main(uri, str(self.folder), str(self.record))
        assert refusal.value.code == os.EX_UNAVAILABLE
        return self._capsys.readouterr().out.splitlines()[-1]


@pytest.fixture
def syncing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Syncing:
    return Syncing(tmp_path, capsys)


def held(folder: Path) -> dict[str, str]:
    return {str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()}


WHOLE = {"config.json": "{}", "model-1.safetensors": "one", "original/params.json": "deep"}


def test_a_folder_is_made_what_lies_in_s3_and_nothing_is_fetched_twice(
    s3: "S3Client", syncing: Syncing
) -> None:
    assert syncing.fetched() == 3
    assert held(syncing.folder) == WHOLE
    assert syncing.fetched() == 0


def test_what_changed_in_s3_or_was_damaged_here_is_fetched_again_and_what_left_goes(
    s3: "S3Client", syncing: Syncing
) -> None:
    syncing.fetched()
    s3.put_object(Bucket="models", Key="llama/instruct/model-1.safetensors", Body=b"two")  # of the same size
    s3.delete_object(Bucket="models", Key="llama/instruct/original/params.json")
    (syncing.folder / "config.json").write_text("cut")
    assert syncing.fetched() == 2
    assert held(syncing.folder) == {"config.json": "{}", "model-1.safetensors": "two"}


def test_a_sync_that_was_cut_off_goes_on_with_the_files_that_are_missing(
    s3: "S3Client", syncing: Syncing
) -> None:
    syncing.fetched()
    known = json.loads(syncing.record.read_text())
    del known["model-1.safetensors"]
    syncing.record.write_text(json.dumps(known))
    weights = syncing.folder / "model-1.safetensors"
    weights.rename(weights.with_name(f".{weights.name}.partial"))
    assert syncing.fetched() == 1
    assert held(syncing.folder) == WHOLE


def test_a_record_that_cannot_be_read_costs_only_the_download(s3: "S3Client", syncing: Syncing) -> None:
    syncing.fetched()
    syncing.record.write_text("{")
    assert syncing.fetched() == 3


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://models/no/such", "s3://models/no/such/: nothing is there; correct `model.uri`"),
        ("s3://elsewhere/llama", "the instance profile needs s3:ListBucket on the bucket"),
    ],
)
def test_what_is_not_there_is_told_with_the_remedy(
    s3: "S3Client", syncing: Syncing, uri: str, said: str
) -> None:
    assert said in syncing.refused(uri)


def test_an_object_that_would_leave_the_folder_is_refused(s3: "S3Client", syncing: Syncing) -> None:
    s3.put_object(Bucket="models", Key="llama/instruct/../../escaped", Body=b"x")
    assert "leads out of the folder" in syncing.refused()
    assert not syncing.folder.exists()


def test_an_instance_asks_s3_in_its_own_region(monkeypatch: pytest.MonkeyPatch) -> None:
    with cloud.imds() as imds:
        imds.documents["/latest/meta-data/placement/availability-zone/"] = "eu-west-3b"
        for name in ("AWS_DEFAULT_REGION", "AWS_REGION"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", imds.url)
        assert s3_script.client().meta.region_name == "eu-west-3"


def ensure(folder: Path, uri: str = URI) -> tuple[str, bool]:
    source = ModelSource(kind="s3", name=uri)
    models.check(source)
    return models.ensure(source, folder, Path(sys.executable), {}, time.monotonic() + 60)


def test_the_model_lies_at_the_same_path_on_every_node(s3: "S3Client", tmp_path: Path) -> None:
    expected = str(tmp_path / "s3" / "models" / "llama" / "instruct")
    assert ensure(tmp_path) == (expected, False)
    assert ensure(tmp_path) == (expected, True)
    assert held(Path(expected)) == WHOLE


def test_a_folder_without_a_model_is_refused(s3: "S3Client", tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"s3://models/llama holds no config.json"):
        ensure(tmp_path, "s3://models/llama")


@pytest.mark.parametrize("uri", ["s3://models", "http://models/x", "s3://models/../x", "s3://models/a b"])
def test_what_names_no_folder_in_s3_is_refused_before_anything_is_asked(uri: str) -> None:
    with pytest.raises(BadInputError, match=r"names no folder in S3; expected s3://bucket/folder"):
        models.check(ModelSource(kind="s3", name=uri))
