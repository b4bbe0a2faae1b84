"""Connections to instances on AWS: the folder, ssh's arguments, and the messages of failures."""

import shlex
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from remote import aws_access, diagnosis, run
from remote.__main__ import main
from remote.aws_access import FleetAccess, SshRoute, read_access, ssh_route, write_access
from remote.errors import NoAccessError, RemoteError
from remote.host import KEY_FILE, Host
from remote.run import nodectl

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\nx\n-----END OPENSSH PRIVATE KEY-----\n"
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGAgEGNedF3RWLspf6t5OrXdXCwd1HeDFeDRTCchXS9r"
PROXIED = FleetAccess(
    region="us-east-1",
    ssm=False,
    bastion="ubuntu@198.51.100.7",
    head="node-1",
    instances={"node-1": "i-1", "node-2": "i-2"},
    since={"node-1": 100.0, "node-2": 200.0},
)
MANAGED = replace(PROXIED, ssm=True, bastion=None)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a stack `disagg`, seen from its project."""
    monkeypatch.chdir(tmp_path)
    return aws_access.folder_of("disagg")


def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, **scripts: str) -> None:
    """Make these programs, and the shell's own, all that there is on PATH."""
    for name, body in scripts.items():
        path = tmp_path / "bin" / name.replace("_", "-")
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{body}\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}/bin:/usr/bin:/bin")


def mode(path: Path) -> str:
    return oct(path.stat().st_mode)[-3:]


def host(**changes: object) -> Host:
    """Return node-2 of a stack as it is reached through the head."""
    how = SshRoute(Path(".run/disagg/access/key"), Path(".run/disagg/access/known_hosts"), None, None, 0.0)
    found = Host("node-2", "10.42.0.12", user="ubuntu", bastion="ubuntu@198.51.100.7", route=how)
    return found._replace(**changes)  # type: ignore[arg-type]


def test_a_key_pair_that_was_generated_comes_apart(tmp_path: Path) -> None:
    made = subprocess.run(
        ["sh", "-c", aws_access.GENERATE], capture_output=True, text=True, check=True
    ).stdout
    private = tmp_path / "key"
    private.write_text(aws_access.private_part(made))
    private.chmod(0o600)
    public = subprocess.run(["ssh-keygen", "-y", "-f", private], capture_output=True, text=True, check=True)
    assert public.stdout.split()[:2] == aws_access.public_part(made).split()
    assert len(aws_access.public_part(made).split()) == 2


def test_the_folder_is_for_its_owner_alone_and_stays_as_it_is_when_it_is_right(folder: Path) -> None:
    write_access(folder, PROXIED, key=KEY, host_key=HOST_KEY)
    assert (mode(folder), {path.name: mode(path) for path in folder.iterdir()}) == (
        "700",
        {"key": "600", "known_hosts": "600", "route.json": "600"},
    )
    before = {path: path.stat().st_ino for path in folder.iterdir()}
    (folder / "key").chmod(0o644)
    write_access(folder, PROXIED, key=KEY, host_key=HOST_KEY)
    assert {path: path.stat().st_ino for path in folder.iterdir()} == before
    assert mode(folder / "key") == "600"
    assert read_access(folder) == PROXIED


def test_a_given_key_pair_leaves_no_key_of_the_stack(folder: Path) -> None:
    write_access(folder, PROXIED, key=KEY, host_key=HOST_KEY)
    write_access(folder, PROXIED, key=None, host_key=HOST_KEY)
    assert ssh_route(folder, "node-2").key is None


def test_a_new_instance_is_given_time_to_boot_and_so_is_a_node_behind_a_new_head(folder: Path) -> None:
    write_access(folder, PROXIED, key=KEY, host_key=HOST_KEY)
    assert ssh_route(folder, "node-1").boots_until == 100.0 + aws_access.BOOT_SECONDS
    assert ssh_route(folder, "node-2").boots_until == 200.0 + aws_access.BOOT_SECONDS
    write_access(
        folder, replace(PROXIED, since={"node-1": 300.0, "node-2": 200.0}), key=KEY, host_key=HOST_KEY
    )
    assert ssh_route(folder, "node-2").boots_until == 300.0 + aws_access.BOOT_SECONDS


def test_an_instance_is_as_old_as_it_was_and_another_is_new() -> None:
    assert aws_access.running_since(PROXIED, "node-1", "i-1") == 100.0
    assert aws_access.running_since(PROXIED, "node-1", "i-other") == pytest.approx(time.time(), abs=5)
    assert aws_access.running_since(None, "node-1", "i-1") == pytest.approx(time.time(), abs=5)


@pytest.mark.parametrize("content", [None, "", "[]", '{"region": "us-east-1"}'])
def test_a_folder_that_is_not_there_or_broken_is_said_with_the_command_that_writes_it(
    folder: Path, content: str | None
) -> None:
    if content is not None:
        write_access(folder, PROXIED, key=KEY, host_key=HOST_KEY)
        (folder / "route.json").write_text(content)
    with pytest.raises(NoAccessError, match=r"node-2: .*`scripts/access disagg`.*`scripts/up disagg`"):
        ssh_route(folder, "node-2")


def test_every_hop_uses_the_stacks_key_and_host_key_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_FILE, "/home/me/.ssh/key")
    command = host().ssh(Path("unused"))
    [proxy] = [option for option in command if option.startswith("-oProxyCommand=")]
    for hop in (command, shlex.split(proxy.removeprefix("-oProxyCommand="))):
        assert "-oIdentitiesOnly=yes" in hop
        assert hop[hop.index("-i") + 1] == ".run/disagg/access/key"
        assert "-oStrictHostKeyChecking=yes" in hop
        assert '-oUserKnownHostsFile=".run/disagg/access/known_hosts"' in hop
        assert "/home/me/.ssh/key" not in hop
    assert proxy.endswith("-W '[%h]:%p' -- 198.51.100.7")


def test_without_a_key_of_the_stack_the_operators_own_is_offered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_FILE, "/home/me/.ssh/key")
    how = host().route
    assert how is not None
    command = host(route=replace(how, key=None)).ssh(Path("unused"))
    assert command[command.index("-i") + 1] == "/home/me/.ssh/key"
    assert "-oIdentitiesOnly=yes" not in command


def test_session_manager_opens_the_connection_to_the_nodes_own_instance(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(tmp_path, monkeypatch, aws='printf "%s|" "$@"', session_manager_plugin="true")
    write_access(folder, replace(MANAGED, profile="the team's 100%"), key=KEY, host_key=HOST_KEY)
    session = ssh_route(folder, "node-2").session
    assert session is not None
    # as ssh hands it to a shell
    ran = session.replace("%p", "22").replace("%%", "%")
    said = subprocess.run(["sh", "-c", ran], capture_output=True, text=True, check=True).stdout
    assert said.split("|")[:-1] == [
        *("ssm", "start-session", "--target", "i-2", "--document-name", "AWS-StartSSHSession"),
        *("--region", "us-east-1", "--profile", "the team's 100%", "--parameters", "portNumber=22"),
    ]
    command = host(bastion=None, route=ssh_route(folder, "node-2")).ssh(Path("unused"))
    assert f"-oProxyCommand={session}" in command


@pytest.mark.parametrize("missing", ["aws", "session-manager-plugin"])
def test_a_program_that_session_manager_needs_is_named_with_where_it_comes_from(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    both = {"aws": "true", "session_manager_plugin": "true"}
    both.pop(missing.replace("-", "_"))
    programs(tmp_path, monkeypatch, **both)
    write_access(folder, MANAGED, key=KEY, host_key=HOST_KEY)
    with pytest.raises(NoAccessError, match=rf"node-2: .*needs `{missing}`.*install .*https://docs\.aws"):
        ssh_route(folder, "node-2")


def test_the_command_reads_the_folder_when_it_runs(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    answers = f"echo '{run.BEGUN}' >&2; echo '{run.READY}' >&2; cat >/dev/null; echo \"$@\""
    programs(tmp_path, monkeypatch, ssh=answers)
    monkeypatch.setattr(sys, "stdin", None)
    place = ["--name", "node-2", "--host", "10.42.0.12", "--user", "ubuntu", "--access", str(folder)]
    command = [*place, "--release", "r", "--", "mocker", "status"]
    assert main(command) == 1
    assert "`scripts/access disagg`" in capfd.readouterr().err
    write_access(folder, PROXIED, key=KEY, host_key=HOST_KEY)
    assert main(command) == 0
    assert "198.51.100.7" in capfd.readouterr().out
    write_access(folder, replace(PROXIED, bastion=None), key=KEY, host_key=HOST_KEY)
    assert main(command) == 0
    assert "ProxyCommand" not in capfd.readouterr().out


def fails_until(tmp_path: Path, said: str, times: int) -> str:
    """Return an `ssh` that fails so often before it answers."""
    count = tmp_path / "tries"
    return (
        f'echo x >> {count}; if [ "$(wc -l < {count})" -le {times} ]; then echo "{said}" >&2; exit 255; fi\n'
        f"echo '{run.BEGUN}' >&2; echo '{run.READY}' >&2; cat >/dev/null"
    )


@pytest.mark.parametrize(
    "said",
    [
        "ssh: connect to host 198.51.100.7 port 22: Connection timed out",
        "ssh: connect to host 198.51.100.7 port 22: Connection refused",
        "channel 0: open failed: connect failed: No route to host\nstdio forwarding failed",
        "An error occurred (TargetNotConnected) when calling the StartSession operation",
    ],
)
def test_an_instance_that_boots_is_waited_for_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], said: str
) -> None:
    programs(tmp_path, monkeypatch, ssh=fails_until(tmp_path, said, 3))
    monkeypatch.setattr(run, "_PAUSE", 0.01)
    monkeypatch.setattr(run, "_TELL_SECONDS", 0.0)
    monkeypatch.setattr(run, "RETRY_SECONDS", 0.0)
    how = host().route
    assert how is not None
    booting = host(route=replace(how, boots_until=time.time() + 60))
    assert nodectl(booting, ["mocker", "status"], b"").code == 0
    assert "node-2: waits for SSH" in capfd.readouterr().err


def test_an_instance_that_had_time_to_boot_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs(tmp_path, monkeypatch, ssh="echo 'ssh: connect: Connection timed out' >&2; exit 255")
    monkeypatch.setattr(run, "RETRY_SECONDS", 0.0)
    with pytest.raises(RemoteError, match=r"node-2 .*does not answer through the head, 198\.51\.100\.7"):
        nodectl(host(), ["mocker", "status"], b"")


@pytest.mark.parametrize(
    "said",
    [
        "ubuntu@10.42.0.12: Permission denied (publickey).",
        "Host key verification failed.\nstdio forwarding failed",
        "An error occurred (AccessDeniedException) when calling the StartSession operation",
    ],
)
def test_what_booting_does_not_explain_is_said_at_once(said: str) -> None:
    assert not diagnosis.boots(said.splitlines())


SAID = {
    "Host key verification failed.": "`scripts/access disagg`",
    "ubuntu@10.42.0.12: Permission denied (publickey).": "the stack's key: run `scripts/access disagg`",
    "An error occurred (TargetNotConnected)": "AmazonSSMManagedInstanceCore",
    "An error occurred (AccessDeniedException)": "`ssm:StartSession`",
    "Unable to locate credentials. You can configure credentials": "without AWS credentials",
    "ssh: connect to host 198.51.100.7 port 22: Connection timed out": "`target.adminRanges`",
    "something else": "cannot be reached: something else",
}


@pytest.mark.parametrize("line", SAID)
def test_what_ssh_says_of_an_instance_becomes_one_line_that_says_what_to_do(line: str) -> None:
    told = diagnosis.unreachable(host(), [line])
    assert told.startswith("node-2 (10.42.0.12) ")
    assert SAID[line] in told
    assert "target.inventory" not in told
    assert "\n" not in told
