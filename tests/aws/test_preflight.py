"""Missing prerequisites on AWS are one line each, and a preview shows the plan first."""

import json
import os
from pathlib import Path

import pulumi
import pytest
from pulumi.runtime import set_all_config

from program.preflight import PROVIDER, NotReadyError, check
from settings.aws.target import AwsTarget
from tests.unit.plan_examples import aws_target

CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_ROLE_ARN")


@pytest.fixture(autouse=True)
def _ready(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this machine ready for an update: shared state, a region, credentials and the plugin."""
    for name in CREDENTIALS:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("PULUMI_CONFIG", "{}")
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://states")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION", "true")
    monkeypatch.setattr(pulumi, "get_stack", lambda: "disagg")
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: False)
    configure({"aws:region": "us-east-1"})
    plugin(tmp_path, "7.51.1")


def configure(config: dict[str, str]) -> None:
    """Make Pulumi pass the program this configuration; `_ready` restores the environment."""
    os.environ["PULUMI_CONFIG"] = json.dumps(config)
    set_all_config(config)


def plugin(tmp_path: Path, version: str) -> None:
    """Install the provider's plugin in one version."""
    program = tmp_path / "home/plugins" / f"resource-aws-v{version}" / PROVIDER
    program.parent.mkdir(parents=True)
    program.write_text("")


def missing(of: AwsTarget | None = None) -> str:
    """Return what is said to be missing: one line."""
    with pytest.raises(NotReadyError) as caught:
        check(of or aws_target())
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith("Nothing was created.")
    return str(caught.value)


def test_nothing_is_missing_where_all_is_there() -> None:
    check(aws_target())


def test_without_credentials_the_commands_that_bring_them_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    assert "credentials (no AWS credentials; `aws sso login`" in missing()


def test_a_profile_that_does_not_exist_is_named() -> None:
    configure({"aws:region": "us-east-1", "aws:profile": "nobody"})
    assert "nobody" in missing()


def test_credentials_of_the_stack_file_are_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    configure({"aws:region": "us-east-1", "aws:accessKey": "AKIA", "aws:secretKey": "x"})
    check(aws_target())


def test_the_plugin_must_have_the_version_of_the_sdk(tmp_path: Path) -> None:
    home = tmp_path / "home/plugins"
    (home / "resource-aws-v7.51.1").rename(home / "resource-aws-v7.0.0")
    assert "`pulumi plugin install resource aws 7.51.1`" in missing()


def test_a_plugin_that_the_engine_fetches_itself_is_not_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "other"))
    monkeypatch.delenv("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION")
    check(aws_target())


def test_a_region_stands_in_the_stack_file_and_not_in_the_operators_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    configure({})
    assert "`pulumi config set aws:region us-east-1`" in missing()
    configure({"aws:region": "eu-west-1"})
    assert "`aws:region` is eu-west-1 and `target.region` us-east-1" in missing()


def test_an_update_with_state_on_this_machine_is_refused_unless_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    assert "`scripts/init disagg --backend s3://BUCKET --secrets-provider" in missing()
    check(aws_target(allowLocalState=True))


def test_a_preview_with_state_on_this_machine_only_warns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages: list[str] = []
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{tmp_path}")
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    monkeypatch.setattr(pulumi.log, "warn", messages.append)
    check(aws_target())
    [line] = messages
    assert line.startswith("up is refused: ")


def test_a_login_that_nobody_can_read_leaves_the_state_without_a_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PULUMI_BACKEND_URL")
    monkeypatch.setenv("PULUMI_CREDENTIALS_PATH", str(tmp_path))
    monkeypatch.setattr(pulumi.runtime, "is_dry_run", lambda: True)
    assert "set PULUMI_BACKEND_URL" in missing()


def test_everything_that_is_missing_is_said_at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "other"))
    monkeypatch.setenv("PATH", os.defpath)
    configure({})
    assert missing().count(";") >= 2


def test_sessions_that_the_cli_would_open_as_somebody_else_are_warned_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    messages: list[str] = []
    monkeypatch.setattr(pulumi.log, "warn", messages.append)
    configure({"aws:region": "us-east-1", "aws:maxRetries": "11"})
    check(aws_target(access="ssm"))
    keys = {"aws:accessKey": "AKIA", "aws:secretKey": "x"}
    configure({"aws:region": "us-east-1"} | keys)
    check(aws_target())
    assert messages == []
    check(aws_target(access="ssm"))
    [line] = messages
    assert line.startswith("`access: ssm`: sessions are opened by the AWS CLI")
