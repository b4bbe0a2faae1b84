"""The instances of a stack, as its state has them: paused, woken, missed, replaced; a failed up explained."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from account.identity import Identity
from account.login import Login
from operations import engine, fleet, instances, repairing
from operations.fleet import ExistingInstance, existing_instances, explained, gone, login_of, pause, wake
from remote import aws_access
from remote.errors import NoAccessError
from tests.unit.account_examples import NO_CAPACITY, REGION, URN, client, event, launch
from tests.unit.operations.deployed import deployed
from tests.unit.operations.steps import run

pytest_plugins = ["tests.unit.moto_account"]
pytestmark = pytest.mark.usefixtures("no_account", "at_once")

AWS = {
    "aws:region": REGION,
    "aws:profile": "gpu",
    "dynamo:target": {"kind": "aws", "instanceType": "p5.48xlarge", "adminRanges": ["203.0.113.7/32"]},
    "dynamo:pattern": "agg",
    "dynamo:model": {"name": "meta-llama/Llama-3.3-70B-Instruct"},
    "dynamo:roles": {"aggregated": {"replicas": 1, "parallelism": {"tensor": 8}}},
}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Stand in a project folder with a stack file for AWS, and one for this machine."""
    stacks = tmp_path / "stacks"
    stacks.mkdir()
    for name, config in (("disagg", AWS), ("local", AWS | {"dynamo:target": {"kind": "local"}})):
        (stacks / f"Pulumi.{name}.yaml").write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def resource(node: str, instance: str, **other: Any) -> dict[str, Any]:
    return {
        "urn": URN + node,
        "type": "aws:ec2/instance:Instance",
        "id": instance,
        "outputs": {"arn": f"arn:aws:ec2:eu-west-1:123456789012:instance/{instance}"},
        **other,
    }


def state(*resources: dict[str, Any]) -> dict[str, Any]:
    return {"deployment": {"resources": list(resources)}}


def kept_of(*ids: str) -> dict[str, ExistingInstance]:
    return {
        f"node-{n}": ExistingInstance(f"node-{n}", f"{URN}node-{n}", name, REGION)
        for n, name in enumerate(ids, 1)
    }


def test_instances_are_found_in_the_state_without_those_that_wait_for_their_deletion() -> None:
    found = existing_instances(
        state(
            resource("node-1", "i-1"),
            resource("node-1", "i-0", delete=True),
            {"urn": "urn::node-1", "type": "aws:ec2/launchTemplate:LaunchTemplate", "id": "lt-1"},
        )
    )
    assert found == {"node-1": ExistingInstance("node-1", f"{URN}node-1", "i-1", "eu-west-1")}
    assert existing_instances(None) == {}


def test_instances_are_asked_of_where_they_run_with_the_stack_files_profile(project: Path) -> None:
    path = Path("stacks/Pulumi.disagg.yaml")
    assert login_of(path, {}) == Login(REGION, Identity(profile="gpu"))
    assert login_of(path, existing_instances(state(resource("node-1", "i-1")))) == Login(
        "eu-west-1", Identity(profile="gpu")
    )
    assert login_of(Path("stacks/Pulumi.local.yaml"), {}) is None


def test_pausing_stops_all_and_says_what_stays_and_how_to_resume(
    account: str, capsys: pytest.CaptureFixture[str]
) -> None:
    found = kept_of(*launch(2))
    pause("disagg", found, Login(REGION))
    printed = capsys.readouterr().out
    assert "paused     disagg: stopped 2 instances; addresses, disks and state are kept" in printed
    assert "resume     scripts/up disagg" in printed
    pause("disagg", found, Login(REGION))
    assert "stopped nothing more" in capsys.readouterr().out


def test_waking_starts_what_is_stopped_and_says_which_nodes_those_are(account: str) -> None:
    found = kept_of(*launch(2))
    client("ec2").stop_instances(InstanceIds=[found["node-2"].id])
    assert wake(found, Login(REGION)) == ["node-2"]
    assert wake(found, Login(REGION)) == []


def test_nodes_that_were_woken_are_told_in_their_order_whatever_that_of_the_state(account: str) -> None:
    found = kept_of(*launch(2))
    client("ec2").stop_instances(InstanceIds=[each.id for each in found.values()])
    assert wake(dict(reversed(found.items())), Login(REGION)) == ["node-1", "node-2"]


def test_instances_that_ended_behind_our_back_are_missed(account: str) -> None:
    found = kept_of(*launch(2), "i-0123456789abcdef0")
    client("ec2").terminate_instances(InstanceIds=[found["node-1"].id])
    assert [each.node for each in gone(found, Login(REGION))] == ["node-1", "node-3"]


def test_a_failed_up_is_explained_only_where_capacity_was_wanted(
    project: Path, account: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "login", lambda target, path: Login(REGION))
    path = Path("stacks/Pulumi.disagg.yaml")
    told, remedy = explained(path, [event(NO_CAPACITY)])
    assert "EC2 had no p5.48xlarge in us-east-1a" in told
    assert "us-east-1b" in remedy
    assert explained(path, [event("something else")]) == []
    assert explained(Path("stacks/Pulumi.local.yaml"), [event(NO_CAPACITY)]) == []


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Callable[[dict[str, Any] | None], None]:
    """Return what sets the state that Pulumi exports, and let nobody run Pulumi."""

    def runs(*arguments: object, **options: object) -> None:
        raise AssertionError(f"nothing may run, got {arguments}")

    monkeypatch.setattr("operations.engine.subprocess.run", runs)

    def export(found: dict[str, Any] | None) -> None:
        monkeypatch.setattr(engine, "exported", lambda stack, **options: found)

    return export


def test_only_instances_can_be_paused_or_replaced(
    project: Path, exported: Callable[[dict[str, Any] | None], None], capsys: pytest.CaptureFixture[str]
) -> None:
    exported(None)
    assert run("pause", "local") == 1
    assert "only instances on AWS can be stopped or replaced" in capsys.readouterr().err
    assert run("pause", "disagg") == 1
    assert "stack disagg has no instances; bring it up" in capsys.readouterr().err


def test_a_node_is_replaced_by_the_urn_of_its_instance(
    project: Path,
    account: str,
    exported: Callable[[dict[str, Any] | None], None],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(fleet, "login", lambda target, path: Login(REGION))
    runs, ended = launch(2)
    here = {"outputs": {"arn": f"arn:aws:ec2:{REGION}:123456789012:instance/any"}}
    exported(state(resource("node-1", runs, **here), resource("node-2", ended, **here)))
    assert run("replacing", "disagg", "node-1") == 0
    assert capsys.readouterr().out == f"{URN}node-1\n"
    assert run("replacing", "disagg", "node-9") == 1
    assert "has no node node-9; it has node-1, node-2" in capsys.readouterr().err
    client("ec2").terminate_instances(InstanceIds=[ended])
    forgotten: list[str] = []
    monkeypatch.setattr(fleet, "forget", lambda stack, lost: forgotten.extend(each.node for each in lost))
    assert run("replacing", "disagg", "node-2") == 0
    assert (forgotten, capsys.readouterr().out) == (["node-2"], "")


def test_up_wakes_what_is_paused_and_sets_just_that_up_again(
    project: Path,
    account: str,
    exported: Callable[[dict[str, Any] | None], None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fleet, "login", lambda target, path: Login(REGION))
    runs, sleeps, ended = launch(3)
    client("ec2").stop_instances(InstanceIds=[sleeps])
    client("ec2").terminate_instances(InstanceIds=[ended])
    here = {"outputs": {"arn": f"arn:aws:ec2:{REGION}:123456789012:instance/any"}}
    names = {"node-1": runs, "node-2": sleeps, "node-3": ended}
    exported(state(*(resource(node, instance, **here) for node, instance in names.items())))
    forgotten: list[str] = []
    monkeypatch.setattr(fleet, "forget", lambda stack, lost: forgotten.extend(each.node for each in lost))
    assert repairing._resume("disagg") == ["node-2"]
    assert forgotten == ["node-3"]
    assert repairing._resume("local") == []


def test_nodes_that_were_started_are_set_up_again_and_given_the_time_to_boot(
    project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nodes = []
    for name in ("node-1", "node-2"):
        setup = {verb: ["touch", f"{name}-{verb}"] for verb in ("install", "apply")}
        nodes += deployed(name, ["true"], setup=setup)
    monkeypatch.setattr(engine, "exported", lambda stack, **options: state(*nodes))
    monkeypatch.setattr(instances, "open_access", lambda stack, exported: True)
    monkeypatch.setattr(repairing, "_resume", lambda stack: ["node-2"])
    folder = aws_access.folder_of("disagg")
    route = aws_access.FleetAccess(
        REGION, ssm=False, bastion=None, head="node-1", since={"node-1": 1.0, "node-2": 1.0}
    )
    aws_access.write_access(folder, route, key=None, host_key="ssh-ed25519 AAAA")
    began = time.time()
    assert run("repair", "disagg") == 0
    assert sorted(path.name for path in project.glob("node-*")) == ["node-2-apply", "node-2-install"]
    kept_now = aws_access.read_access(folder)
    assert kept_now is not None
    assert kept_now.since["node-1"] == 1.0
    assert kept_now.since["node-2"] >= began


def test_a_folder_that_does_not_say_how_nodes_are_reached_is_said(project: Path) -> None:
    with pytest.raises(NoAccessError, match="scripts/access disagg"):
        aws_access.record_start(aws_access.folder_of("disagg"), ["node-1"])


def test_the_event_log_is_read_from_a_file(
    project: Path, account: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(fleet, "login", lambda target, path: Login(REGION))
    monkeypatch.setattr(engine, "exported", lambda stack, **options: None)
    log = project / "events"
    log.write_text("\n".join([json.dumps({"preludeEvent": {}}), event(NO_CAPACITY)]), encoding="utf-8")
    assert run("explain", "disagg", str(log)) == 0
    assert "capacity   node-1: EC2 had no p5.48xlarge" in capsys.readouterr().err
    log.write_text(event("something else"), encoding="utf-8")
    assert run("explain", "disagg", str(log)) == 0
    assert capsys.readouterr().err == ""
