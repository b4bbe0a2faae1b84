"""Cases in which the offline provider does better than pulumi-command 1.2.1; left out to test that one."""

import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.engine.command import sshd
from tests.engine.command.phases import STACK, deploy
from tests.engine.pulumi_cli import PulumiProject

PROGRAM = r"""
import json
import os
import pulumi
from pulumi_command import local, remote

with open("connection.json") as file:
    host = remote.ConnectionArgs(**json.load(file))
phase = os.environ["PHASE"]
if phase == "shared":
    for number in range(12):
        remote.Command(f"parallel-{number}", connection=host, create="sleep 1; printf done")
    local.Command("long-line", create="head -c 1000000 /dev/zero | tr '\\0' x")
elif phase == "unserved":
    remote.CopyFile("old", connection=host, local_path="connection.json", remote_path="/nonexistent")
else:
    local.Command("waits", create="sleep 1000 & echo $! > new && mv new pid; wait")
"""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulumiProject]:
    """The program and a host that allows two connections at once, with three sessions each."""
    dead_agent = {"SSH_AUTH_SOCK": "/nonexistent"}
    project = PulumiProject.make(tmp_path_factory.mktemp("beyond"), PROGRAM, dead_agent)
    project.init(STACK)
    with sshd.running(tmp_path_factory.mktemp("sshd"), "127.30.0.4") as host:
        (project.folder / "connection.json").write_text(json.dumps(host.connection()), encoding="utf-8")
        yield project


def test_commands_on_one_host_share_its_connections_and_lines_have_no_limit(project: PulumiProject) -> None:
    completed = deploy(project, "shared", "--parallel", "20")
    assert [completed.saved(f"parallel-{number}")["stdout"] for number in range(12)] == ["done"] * 12
    assert len(completed.saved("long-line")["stdout"]) == 1_000_000


def test_what_is_not_served_says_what_to_install(project: PulumiProject) -> None:
    failed = deploy(project, "unserved", check=False)
    assert "does not serve command:remote:CopyFile: install pulumi-command 1.2.1" in failed.result.printed


@pytest.mark.parametrize("end", ["interrupted", "killed"])
def test_nothing_that_a_command_started_outlives_the_engine(project: PulumiProject, end: str) -> None:
    engine = project.start("up", "--stack", STACK, "--yes", "--skip-preview", PHASE="waiting")
    try:
        started = _started(project.folder / "pid", engine)
        providers = [p for p in psutil.Process(engine.pid).children(recursive=True) if _is_provider(p)]
        assert len(providers) == 1
        if end == "interrupted":
            os.killpg(engine.pid, signal.SIGINT)
            printed, _ = engine.communicate(timeout=60)
            assert engine.returncode != 0
            assert "cancelled" in printed
        else:
            engine.kill()
        _, left = psutil.wait_procs([started, *providers], timeout=60)
        assert not left
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(engine.pid, signal.SIGKILL)
        engine.communicate(timeout=60)
        project.run("cancel", "--stack", STACK, "--yes", check=False)


def _started(pid_file: Path, engine: subprocess.Popen[str]) -> psutil.Process:
    while not pid_file.exists():
        with contextlib.suppress(subprocess.TimeoutExpired):
            engine.wait(timeout=0.1)
            raise AssertionError(f"the engine ended early:\n{engine.communicate()[0]}")
    pid = int(pid_file.read_text(encoding="utf-8"))
    pid_file.unlink()
    return psutil.Process(pid)


def _is_provider(process: psutil.Process) -> bool:
    return any("plugins/command" in part for part in process.cmdline())
