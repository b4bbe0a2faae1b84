"""Behaviour of `command:remote:Command` and `command:remote:CopyToRemote`, of either provider.

The other hosts are OpenSSH servers on loopback addresses, whose files are this machine's.
"""

import contextlib
import json
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.engine.command import sshd
from tests.engine.command.phases import STACK, Phase, deploy, destroy
from tests.engine.pulumi_cli import PulumiProject

PROGRAM = r"""
import json
import os
import pulumi
from pulumi_command import remote

phase = int(os.environ["PHASE"])
here = os.getcwd()
with open("connections.json") as file:
    connections = {name: remote.ConnectionArgs(**arguments) for name, arguments in json.load(file).items()}
host = connections["host"]
one_at_a_time = []


def command(name, connection=host, **arguments):
    options = pulumi.ResourceOptions(depends_on=one_at_a_time[-1:])
    one_at_a_time.append(remote.Command(name, connection=connection, opts=options, **arguments))
    return one_at_a_time[-1].stdout


def copy(name, source, path):
    options = pulumi.ResourceOptions(depends_on=one_at_a_time[-1:])
    one_at_a_time.append(remote.CopyToRemote(name, connection=host, source=source, opts=options,
        remote_path=f"{here}/host/{path}"))


def note(event):
    return f"echo {event} >> {here}/journal"


command("life", create=note("create"), update=note("update"), delete=note(f"delete {phase}"),
    environment={"GREETING": str(phase)})
command("replaced", create=note(f"replaced create {phase}"), delete=note(f"replaced delete {phase}"),
    triggers=[phase])
command("given", create='cat; echo "$GREETING"; echo both-err >&2', stdin="typed\n",
    environment={"GREETING": "hello  there"})
command("previous", create='echo "[$PULUMI_COMMAND_STDOUT]"', stdin=str(phase))
command("many-lines", create="seq 3000", logging="none")
for name in ("locked", "agent", "proxy", "known"):
    command(f"over-{name}", connections[name], create="printf reached")

copy("file", pulumi.FileAsset("source/one.txt"), "new/file.txt")
copy("file-into-folder", pulumi.FileAsset("source/one.txt"), "folder")
copy("text", pulumi.StringAsset(f"text {phase}"), "text.txt")
copy("folder", pulumi.FileArchive("source"), "whole")
copy("contents", pulumi.FileArchive("source/"), "inside")
copy("packed", pulumi.FileArchive("packed.tar.gz"), "packed.tar.gz")

if phase == 3:
    loose = {
        "env": dict(create=note("never"), environment={"REFUSED": "1"}),
        "status": dict(create="echo before; exit 3"),
        "closed": dict(create="true", connection=connections["closed"]),
        "impostor": dict(create="true", connection=connections["impostor"]),
        "unauthorised": dict(create="true", connection=connections["unauthorised"]),
    }
    for name, arguments in loose.items():
        command(name, **arguments)
        one_at_a_time.pop()
if phase == 4:
    remote.CopyToRemote("assets", connection=host, source=pulumi.AssetArchive({"a": pulumi.StringAsset("a")}),
        remote_path="/nowhere")
"""


@dataclass(frozen=True)
class Life:
    """Observations from the first deployment to the end; `host` is the folder that was copied to."""

    host: Path
    created: Phase
    copied: set[str]
    changed: Phase
    failed: Phase
    refusal: Phase
    destroyed: Phase


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PulumiProject]:
    """The program, its sources, and all its ways to reach the two hosts."""
    project = PulumiProject.make(tmp_path_factory.mktemp("remote"), PROGRAM, {"SSH_AUTH_SOCK": ""})
    for name in ("source/deep", "host/folder"):
        (project.folder / name).mkdir(parents=True)
    (project.folder / "source/one.txt").write_text("one", encoding="utf-8")
    (project.folder / "source/deep/two.txt").write_text("two", encoding="utf-8")
    (project.folder / "packed.tar.gz").write_bytes(b"not unpacked")
    with contextlib.ExitStack() as stack:
        host, bastion = (
            stack.enter_context(sshd.running(tmp_path_factory.mktemp("sshd"), address))
            for address in ("127.30.0.1", "127.30.0.2")
        )
        agent = stack.enter_context(sshd.agent(tmp_path_factory.mktemp("agent"), host.folder / "user"))
        closed = stack.enter_context(socket.socket())
        closed.bind(("127.30.0.3", 0))  # taken, but nothing listens
        proxy = bastion.connection(dial_error_limit=0)
        connections = {
            "host": host.connection(),
            "locked": host.connection(private_key=host.key("locked"), private_key_password=host.PASSPHRASE),
            "agent": host.connection(private_key=None, agent_socket_path=str(agent)),
            "proxy": host.connection(proxy=proxy),
            "known": host.connection(host_key=host.key("host.pub")),
            "closed": host.connection(host="127.30.0.3", port=closed.getsockname()[1]),
            "impostor": host.connection(host_key=bastion.key("host.pub"), dial_error_limit=1),
            "unauthorised": host.connection(private_key=bastion.key("user"), dial_error_limit=1),
        }
        (project.folder / "connections.json").write_text(json.dumps(connections), encoding="utf-8")
        yield project


@pytest.fixture(scope="module")
def life(project: PulumiProject) -> Life:
    """Take the program through its phases."""
    host = project.folder / "host"
    project.init(STACK)
    created = deploy(project, 1)
    copied = {str(path.relative_to(host)) for path in host.rglob("*") if path.is_file()}
    for name in ("new/file.txt", "folder/one.txt", "packed.tar.gz"):
        (host / name).unlink()
    (project.folder / "source/one.txt").write_text("changed", encoding="utf-8")
    changed = deploy(project, 2)
    failed = deploy(project, 3, "--continue-on-error", check=False)
    refusal = deploy(project, 4, check=False)
    return Life(host, created, copied, changed, failed, refusal, destroy(project))


def test_create_update_replace_and_delete_run_on_the_host(life: Life) -> None:
    assert life.created.ran == ["create", "replaced create 1"]
    assert life.changed.ran == ["update", "replaced create 2", "replaced delete 1"]
    # The refused deployment, phase 4, ends wherever it is: before this command's update or after it.
    assert sorted(life.destroyed.ran) in (
        [f"delete {phase}", f"replaced delete {replaced}"] for phase in (3, 4) for replaced in (3, 4)
    )


def test_stdin_and_accepted_environment_reach_the_command(life: Life) -> None:
    assert life.created.saved("given")["stdout"] == "typed\nhello  there"
    assert life.created.saved("given")["stderr"] == "both-err"
    assert {"typed", "hello  there", "both-err"} <= set(life.created.result.shown())


def test_all_output_is_kept(life: Life) -> None:
    assert life.created.saved("many-lines")["stdout"].splitlines() == [str(n) for n in range(1, 3001)]


def test_previous_output_that_the_server_refuses_is_no_failure(life: Life) -> None:
    assert life.changed.saved("previous")["stdout"] == "[]"


@pytest.mark.parametrize("way", ["locked", "agent", "proxy", "known"])
def test_a_host_is_reached_by_encrypted_key_agent_bastion_and_known_host_key(life: Life, way: str) -> None:
    assert life.created.saved(f"over-{way}")["stdout"] == "reached"


def test_the_connection_is_secret_in_the_state(life: Life) -> None:
    assert set(life.created.saved("life")["connection"]) == {"4dabf18193072939515e22adb298388d", "ciphertext"}


def test_environment_that_the_server_refuses_fails_before_the_command_runs(life: Life) -> None:
    assert 'could not set environment variable "REFUSED"' in life.failed.result.printed
    assert "never" not in life.failed.ran


def test_a_failure_says_status_command_and_everything_printed(life: Life) -> None:
    assert 'Process exited with status 3: running "echo before; exit 3":' in life.failed.result.printed
    assert "before\n" in life.failed.result.printed
    assert "status" not in life.failed.resources


def test_dialling_is_given_up_after_the_limit(life: Life) -> None:
    printed = life.failed.result.printed
    assert "after 3 failed attempts" in printed
    assert {"Dial 1/3 failed: retrying", "Dial 3/3 failed: retrying"} <= set(life.failed.result.shown())
    assert not {"closed", "impostor", "unauthorised"} & set(life.failed.resources)


def test_files_texts_and_folders_go_where_the_documentation_says(life: Life) -> None:
    assert life.copied == {
        "new/file.txt",
        "folder/one.txt",
        "text.txt",
        "whole/source/one.txt",
        "whole/source/deep/two.txt",
        "inside/one.txt",
        "inside/deep/two.txt",
        "packed.tar.gz",
    }
    assert not (life.host / "packed.tar.gz").exists(), "an unchanged source is not copied again"


def test_changed_content_is_copied_again_and_nothing_is_ever_removed(life: Life) -> None:
    for name in ("new/file.txt", "folder/one.txt", "whole/source/one.txt", "inside/one.txt"):
        assert (life.host / name).read_text(encoding="utf-8") == "changed"
    assert (life.host / "text.txt").read_text(encoding="utf-8") == "text 3"


def test_an_archive_of_assets_is_refused_before_anything_runs(life: Life) -> None:
    assert life.refusal.result.returncode != 0
    assert "archive must be a path to a file or directory" in life.refusal.result.printed
