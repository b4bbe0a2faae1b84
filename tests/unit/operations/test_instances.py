"""The folder that says how instances are reached, as scripts write it from a stack's state."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from operations import engine, instances
from remote.aws_access import folder_of, read_access
from tests.unit.operations.steps import run
from tests.unit.plan_examples import aws_target

SECRET = {"4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270"}
PAIR = "-----BEGIN OPENSSH PRIVATE KEY-----\n{0}\n-----END OPENSSH PRIVATE KEY-----\nssh-ed25519 {0} c\n"
STACKS = Path(__file__).parents[3] / "stacks"


def resource(kind: str, name: str, **content: Any) -> dict[str, Any]:
    return {"type": kind, "urn": f"urn:pulumi:disagg::dynamo::dynamo:aws:Fleet${kind}::{name}", **content}


def instance(name: str, role: str, **content: Any) -> dict[str, Any]:
    found = {"id": f"i-{name}", "inputs": {"tags": {"dynamo-multinode:role": role}}, **content}
    return resource("aws:ec2/instance:Instance", name, **found)


def key(name: str) -> dict[str, Any]:
    shown = SECRET | {"plaintext": json.dumps(PAIR.format(name))}
    return resource("command:local:Command", name, inputs={}, outputs={"stdout": shown})


RESOURCES = [
    resource("pulumi:pulumi:Stack", "dynamo-disagg", outputs={"endpoint": "http://198.51.100.7:8000"}),
    resource("pulumi:providers:aws", "default_7_51_1", inputs={"profile": "team"}),
    key("host-key"),
    key("login-key"),
    resource("aws:ec2/eip:Eip", "nat", outputs={"publicIp": "198.51.100.1"}),
    resource("aws:ec2/eip:Eip", "head", outputs={"publicIp": "198.51.100.7"}),
    instance("node-1", "head", created="2026-11-25T10:00:00Z"),
    instance("node-2", "worker"),
    instance("node-2", "worker", delete=True) | {"id": "i-before"},
]


def exported(without: str = "nothing") -> Mapping[str, Any]:
    left = [found for found in RESOURCES if not found["urn"].endswith(f"::{without}")]
    return {"deployment": {"resources": left}}


@pytest.fixture(autouse=True)
def _project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks/Pulumi.disagg.yaml").write_text((STACKS / "Pulumi.disagg.yaml").read_text())


def test_state_says_how_nodes_are_reached() -> None:
    instances.keep_access("disagg", aws_target(), exported())
    route = read_access(folder_of("disagg"))
    assert route is not None
    assert (route.bastion, route.head, route.profile) == ("ubuntu@198.51.100.7", "node-1", "team")
    assert route.instances == {"node-1": "i-node-1", "node-2": "i-node-2"}
    assert route.since == {"node-1": 1795600800.0, "node-2": 0.0}
    assert (folder_of("disagg") / "key").read_text().splitlines()[1] == "login-key"
    assert (folder_of("disagg") / "known_hosts").read_text() == "* ssh-ed25519 host-key\n"


def test_a_head_without_a_public_address_is_no_bastion() -> None:
    instances.keep_access("disagg", aws_target(), exported(without="head"))
    route = read_access(folder_of("disagg"))
    assert route is not None
    assert route.bastion is None


def test_session_manager_needs_no_bastion() -> None:
    instances.keep_access("disagg", aws_target(access="ssm"), exported())
    route = read_access(folder_of("disagg"))
    assert route is not None
    assert (route.ssm, route.bastion) == (True, None)


def test_with_a_given_key_pair_there_is_no_key_to_write() -> None:
    instances.keep_access("disagg", aws_target(keyPair="mine"), exported(without="login-key"))
    assert not (folder_of("disagg") / "key").exists()


def cli(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, state: Mapping[str, Any]) -> None:
    """Put a `pulumi` on PATH that exports `state`, its secrets encrypted unless they are asked for."""
    shown = json.dumps(state)
    (tmp_path / "shown.json").write_text(shown)
    (tmp_path / "state.json").write_text(shown.replace('"plaintext"', '"ciphertext"'))
    program = tmp_path / "bin/pulumi"
    program.parent.mkdir()
    program.write_text(
        f'#!/bin/sh\necho "$@" >> {tmp_path}/asked\n'
        f'case "$*" in *--show-secrets*) cat {tmp_path}/shown.json ;; *) cat {tmp_path}/state.json ;; esac\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")


def test_another_machine_gets_the_folder_by_a_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli(tmp_path, monkeypatch, exported())
    assert run("access", "disagg") == 0
    assert read_access(folder_of("disagg")) is not None
    assert "scripts/node disagg NODE" in capsys.readouterr().out
    assert "--show-secrets" in (tmp_path / "asked").read_text()


def test_a_state_that_has_its_secrets_is_not_exported_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def exported_again(*_: object, **__: object) -> None:
        raise AssertionError("exported again")

    monkeypatch.setattr(engine, "exported", exported_again)
    assert instances.open_access("disagg", exported())
    assert read_access(folder_of("disagg")) is not None


def test_a_stack_without_instances_has_nothing_to_write(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cli(tmp_path, monkeypatch, {"deployment": {"resources": RESOURCES[:1]}})
    assert run("access", "disagg") == 1
    assert "`scripts/up disagg`" in capsys.readouterr().err
    assert "--show-secrets" not in (tmp_path / "asked").read_text()
    assert not folder_of("disagg").exists()


def test_users_are_told_the_address_that_they_can_reach(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = json.dumps({"endpoint": "http://10.42.0.11:8000", "model": "llama"})
    proof = resource("command:local:Command", "proof", inputs={"create": "c", "stdin": spec})
    cli(tmp_path, monkeypatch, {"deployment": {"resources": [*RESOURCES, proof]}})
    assert run("ready", "disagg") == 0
    assert "10.42.0.11" not in (said := capsys.readouterr().out)
    assert "http://198.51.100.7:8000/v1/chat/completions" in said
