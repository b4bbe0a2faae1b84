"""State that `scripts/init` shares, in S3 with KMS as moto serves them, and in a folder: clones find it."""

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import yaml
from moto.server import ThreadedMotoServer

from tests.engine.deployment.checkout import Checkout

AWS = {"AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing", "AWS_REGION": "us-east-1"}
"""Moto takes any; nothing but the loopback address is asked."""


@pytest.fixture(scope="module")
def moto() -> Iterator[int]:
    """Moto's server with a bucket and a key; returns its port."""
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    _, port = server.get_host_and_port()
    at = {"endpoint_url": f"http://127.0.0.1:{port}", "region_name": "us-east-1"}
    keys = {"aws_access_key_id": "testing", "aws_secret_access_key": "testing"}
    boto3.client("s3", **at, **keys).create_bucket(Bucket="team-state")  # type: ignore[call-overload]
    kms = boto3.client("kms", **at, **keys)  # type: ignore[call-overload]
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/dynamo", TargetKeyId=key)
    yield port
    server.stop()


def backend(port: int, bucket: str = "team-state") -> str:
    how = f"endpoint=127.0.0.1:{port}&disableSSL=true&s3ForcePathStyle=true&region=us-east-1"
    return f"s3://{bucket}/dynamo?{how}"


def provider(port: int) -> str:
    return f"awskms://alias/dynamo?region=us-east-1&endpoint=http://127.0.0.1:{port}"


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone of the project."""
    folder = tmp_path / "clone"
    folder.mkdir()
    made = Checkout.make(folder)
    (folder / ".toolchain").symlink_to(Path(__file__).parents[3] / ".toolchain")
    return made.path


def shell(folder: Path, script: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in a clone, as a user with nothing set up but AWS credentials."""
    home = folder.parent / "home"
    home.mkdir(exist_ok=True)
    bare = {"PATH": "/usr/bin:/bin", "HOME": str(home), **AWS, **env}
    return subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=bare,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def initialise(folder: Path, where: str, what: str, stack: str = "disagg", **env: str) -> str:
    completed = shell(folder, f'scripts/init {stack} --backend "{where}" --secrets-provider "{what}"', **env)
    assert completed.returncode == 0, completed.stdout + completed.stderr
    return completed.stdout


def test_a_stack_in_s3_and_kms_is_found_by_every_clone(clone: Path, moto: int) -> None:
    before = (clone / "stacks/Pulumi.disagg.yaml").read_text()
    printed = initialise(clone, backend(moto), provider(moto))
    assert "git add Pulumi.yaml stacks/Pulumi.disagg.yaml" in printed
    written = (clone / "stacks/Pulumi.disagg.yaml").read_text()
    assert yaml.safe_load(written)["secretsprovider"] == provider(moto)
    assert "# yours: who may connect to SSH on the head" in written
    assert yaml.safe_load(written)["config"] == yaml.safe_load(before)["config"]

    files = ("Pulumi.yaml", "stacks/Pulumi.disagg.yaml")
    kept = [(clone / name).read_text() for name in files]
    initialise(clone, backend(moto), provider(moto))
    assert [(clone / name).read_text() for name in files] == kept

    token = "pulumi config set --secret --stack disagg dynamo:huggingFaceToken hf_of_ours"
    assert shell(clone, f'eval "$(scripts/env)"; {token}').returncode == 0
    colleague = clone.parent / "colleague"
    shutil.copytree(clone, colleague, symlinks=True)
    read = "pulumi config get --stack disagg dynamo:huggingFaceToken"
    found = shell(colleague, f'eval "$(scripts/env)"; pulumi stack ls; {read}')
    assert "disagg" in found.stdout
    assert found.stdout.endswith("hf_of_ours\n"), found.stderr
    assert not list((colleague / ".state").rglob("disagg*"))

    # local stacks stay on this machine
    create = ".venv/bin/python -c 'from operations.creating import create; create(\"local\")'"
    made = shell(colleague, f'eval "$(scripts/env local)"; {create}')
    assert made.returncode == 0, made.stderr
    assert list((colleague / ".state").rglob("local.json"))
    listed = shell(clone, 'eval "$(scripts/env)"; pulumi stack ls').stdout
    assert "local" not in listed


def test_a_bucket_that_is_not_there_leaves_nothing_behind(clone: Path, moto: int) -> None:
    files = ("Pulumi.yaml", "stacks/Pulumi.disagg.yaml")
    before = [(clone / name).read_text() for name in files]
    where = backend(moto, "nobodys")
    completed = shell(clone, f'scripts/init disagg --backend "{where}" --secrets-provider "{provider(moto)}"')
    assert completed.returncode == 1
    assert "nothing was recorded" in completed.stderr
    assert [(clone / name).read_text() for name in files] == before


def test_a_folder_elsewhere_and_a_passphrase_serve_existing_machines(clone: Path, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    where, own = f"file://{tmp_path}/elsewhere", {"PULUMI_CONFIG_PASSPHRASE": "of our own"}
    text = (clone / "stacks/Pulumi.lab-agg.yaml").read_text().splitlines(keepends=True)
    (clone / "stacks/Pulumi.ours.yaml").write_text("".join(x for x in text if "encryptionsalt" not in x))
    initialise(clone, where, "passphrase", "ours", **own)
    assert shell(clone, 'eval "$(scripts/env ours)"; pulumi stack export --stack ours', **own).returncode == 0
    assert list((tmp_path / "elsewhere").rglob("ours.json"))
    assert "encryptionsalt" in (clone / "stacks/Pulumi.ours.yaml").read_text()


def test_what_cannot_be_meant_is_refused_before_anything_is_asked(clone: Path) -> None:
    completed = shell(clone, "scripts/init disagg --backend s3:// --secrets-provider default")
    assert completed.returncode == 2
    assert "expected s3://BUCKET" in completed.stderr
    assert "only Pulumi Cloud has one" in completed.stderr
