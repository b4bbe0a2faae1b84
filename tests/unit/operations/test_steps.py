"""Stale locks, the exported proof, and the steps of the verbs around them."""

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from operations import cli, locks
from operations.locks import abandoned, stale_locks
from operations.state import Proved, proved
from tests.unit.operations.steps import run

HOST = os.uname().nodename
STACKS = Path(__file__).parents[3] / "stacks"


def lock(state: Path, stack: str, *, pid: int, hostname: str = HOST, age: timedelta = timedelta()) -> Path:
    """Write a lock as Pulumi's file backend does."""
    path = state / ".pulumi/locks/organization/dynamo" / stack / "0b1c.json"
    path.parent.mkdir(parents=True)
    timestamp = (datetime.now(UTC) - age).isoformat()
    path.write_text(json.dumps({"pid": pid, "username": "u", "hostname": hostname, "timestamp": timestamp}))
    return path


@pytest.fixture(scope="module")
def dead_pid() -> int:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    return ended.pid


def test_a_lock_of_a_dead_process_of_this_machine_is_stale(tmp_path: Path, dead_pid: int) -> None:
    path = lock(tmp_path, "local", pid=dead_pid)
    assert stale_locks(tmp_path, "local", HOST) == [path]


def test_a_lock_of_a_killed_process_that_nobody_waited_for_is_stale(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"]) as killed:
        path = lock(tmp_path, "local", pid=killed.pid)
        killed.kill()
        os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
        assert stale_locks(tmp_path, "local", HOST) == [path]


def test_a_lock_whose_number_now_belongs_to_a_younger_process_is_stale(tmp_path: Path) -> None:
    path = lock(tmp_path, "local", pid=os.getpid(), age=timedelta(days=400))
    assert stale_locks(tmp_path, "local", HOST) == [path]


def test_a_lock_of_a_living_process_stays(tmp_path: Path) -> None:
    lock(tmp_path, "local", pid=os.getpid())
    assert stale_locks(tmp_path, "local", HOST) == []


def test_a_lock_of_another_machine_stays(tmp_path: Path, dead_pid: int) -> None:
    lock(tmp_path, "local", pid=dead_pid, hostname="elsewhere")
    assert stale_locks(tmp_path, "local", HOST) == []


def test_a_lock_of_another_stack_stays(tmp_path: Path, dead_pid: int) -> None:
    lock(tmp_path, "local-disagg", pid=dead_pid)
    assert stale_locks(tmp_path, "local", HOST) == []


@pytest.fixture(params=["pulumi-language-python-exec", "pulumi-language-python"])
def program(request: pytest.FixtureRequest, tmp_path: Path) -> list[str]:
    """A command that looks like Pulumi's running program, or like the host of one, and waits."""
    script = tmp_path / request.param
    script.write_text("import time; time.sleep(60)")
    return [sys.executable, str(script)]


def test_a_program_whose_engine_is_gone_is_found_by_its_project(tmp_path: Path, program: list[str]) -> None:
    with subprocess.Popen(program, cwd=tmp_path) as left:
        assert [found.pid for found in abandoned(tmp_path)] == [left.pid]
        assert abandoned(tmp_path / "elsewhere") == []
        left.kill()


def test_a_program_whose_engine_runs_is_left_alone(tmp_path: Path, program: list[str]) -> None:
    engine = tmp_path / "pulumi"
    engine.write_text(f"#!{sys.executable}\nimport subprocess, sys\nsubprocess.run(sys.argv[1:])\n")
    engine.chmod(0o755)
    with subprocess.Popen([engine, *program], cwd=tmp_path, start_new_session=True) as running:
        deadline = time.monotonic() + 30
        while not psutil.Process(running.pid).children() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert psutil.Process(running.pid).children()
        assert abandoned(tmp_path) == []
        os.killpg(running.pid, signal.SIGKILL)


def test_the_proof_of_the_last_up_is_found_in_the_exported_stack() -> None:
    urn = "urn:pulumi:local::dynamo::dynamo:index:Deployment$dynamo:index:Proof$command:local:Command::proof"
    proof = {"type": "command:local:Command", "urn": urn, "inputs": {"create": "c", "stdin": "{}"}}
    other = proof | {"urn": urn.replace("::proof", "::node-1-apply")}
    assert proved({"deployment": {"resources": [other, proof]}}) == Proved("c", "{}")
    assert proved({"deployment": {}}) is None
    assert proved(None) is None


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project folder with the state of a stack `local` that is up, and a `pulumi` that knows no stack."""
    folder = tmp_path / "project"
    for path in (".run/local/node-1", ".state/.pulumi/stacks/dynamo", ".state/.pulumi/history/dynamo/local"):
        (folder / path).mkdir(parents=True)
    (folder / ".state/.pulumi/stacks/dynamo/local.json").write_text("{}")
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PULUMI_BACKEND_URL", f"file://{folder}/.state")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    answering(tmp_path, "exit 6")
    return folder


def answering(tmp_path: Path, body: str) -> None:
    """Put a `pulumi` on PATH that does what `body`, a shell script, says."""
    cli = tmp_path / "bin/pulumi"
    cli.parent.mkdir(exist_ok=True)
    cli.write_text(f"#!/bin/sh\n{body}\n")
    cli.chmod(0o755)


def contents(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


@pytest.mark.parametrize("verb", cli.VERBS)
@pytest.mark.parametrize(
    "name", ["..", ".", "", "../project", "local/node-1", "--yes", "a b", "*", "x" * 101]
)
def test_a_name_that_no_stack_can_have_is_refused_and_touches_no_folder(
    project: Path, verb: str, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(project.parent)
    more = {
        "init": ["--backend", "s3://b", "--secrets-provider", "awskms://k?region=r"],
        "node": ["node-1", "status"],
        "replace": ["node-1"],
        "secret": ["huggingFaceToken"],
    }
    options = [word for word in more.get(verb, []) if verb == "init"]
    assert cli.main([verb, *options, "--", name, *([] if options else more.get(verb, []))]) == 2
    printed = capsys.readouterr()
    said = printed.out if verb == "ci-preview" else printed.err
    assert "expected letters, digits" in said or (verb == "node" and "unknown option --yes" in said)
    assert contents(project.parent) == before


@pytest.mark.parametrize("name", ["dynamo", "loca", "stacks"])
def test_taking_a_stack_down_that_is_not_up_says_so_and_leaves_the_others(
    project: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = contents(project)
    assert run("down", name) == 0
    assert f"stack {name} is not up" in capsys.readouterr().err
    assert contents(project) == before


def test_a_stack_that_pulumi_cannot_read_is_not_taken_for_one_that_is_gone(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(tmp_path, "echo error: no such backend >&2; exit 1")
    before = contents(project)
    for command in ("down", "prove", "ready"):
        assert run(command, "local") == 1
        assert capsys.readouterr().err == "error: no such backend\n"
    assert contents(project) == before


def stack_of(project: Path, text: str) -> None:
    """Write the file of the stack `local`."""
    (project / "stacks").mkdir()
    (project / "stacks/Pulumi.local.yaml").write_text(text)


def test_state_on_this_machine_is_refused_for_aws_before_pulumi_knows_the_stack(
    project: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    answering(tmp_path, "touch called")
    stack_of(project, (STACKS / "Pulumi.disagg.yaml").read_text())
    assert run("create", "local") == 1
    assert "scripts/init local --backend" in capsys.readouterr().err
    assert not (project / "called").exists()


def test_state_on_this_machine_is_taken_for_aws_where_the_stack_file_allows_it(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "their own")
    answering(tmp_path, "touch called")
    text = (STACKS / "Pulumi.disagg.yaml").read_text()
    stack_of(project, text.replace("kind: aws", "kind: aws\n    allowLocalState: true"))
    assert run("create", "local") == 0
    assert (project / "called").exists()


@pytest.mark.parametrize(
    ("passphrase", "made"), [(None, True), ("dynamo", True), ("their own", False), ("", False)]
)
def test_another_passphrase_than_that_of_a_shipped_stack_file_is_named_with_what_to_do(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    passphrase: str | None,
    made: bool,
) -> None:
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    if passphrase is not None:
        monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", passphrase)
    answering(project.parent, "touch called")
    stack_of(project, (STACKS / "Pulumi.local.yaml").read_text())
    assert run("create", "local") == (0 if made else 1)
    assert (project / "called").exists() == made
    assert ("PULUMI_CONFIG_PASSPHRASE=dynamo" in capsys.readouterr().err) != made


@pytest.mark.parametrize(
    ("passphrase", "provider", "made"),
    [("dynamo", "", False), ("their own", "", True), ("dynamo", "secretsprovider: awskms://alias/x\n", True)],
)
def test_shared_state_is_not_encrypted_with_what_everybody_knows(
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *,
    passphrase: str,
    provider: str,
    made: bool,
) -> None:
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", passphrase)
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://team-state")
    answering(project.parent, 'echo "$@" > called')
    hosts = (STACKS / "Pulumi.lab-agg.yaml").read_text().splitlines(keepends=True)
    stack_of(project, provider + "".join(line for line in hosts if "encryptionsalt" not in line))
    assert run("create", "local") == (0 if made else 1)
    assert ("scripts/init local" in capsys.readouterr().err) != made
    if provider:
        assert "--secrets-provider awskms://alias/x" in (project / "called").read_text()


def test_a_program_that_ends_with_its_host_does_not_stop_the_unlocking(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with subprocess.Popen(["sleep", "60"]) as host:
        ended = psutil.Process(host.pid)
        host.kill()
    monkeypatch.setattr(locks, "abandoned", lambda _: [ended])
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    locks.unlock("local")
