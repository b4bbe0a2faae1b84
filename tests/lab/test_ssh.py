"""A login shell of a host and an operator's configuration of ssh are anything; commands come through."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from remote.host import KEY_FILE
from remote.host import Host as Reached
from tests.lab.shell import shell
from tools.hostlab.host import Host
from tools.hostlab.lab import Lab

PROJECT = Path(__file__).parents[2]
HOME = "/home/ops"


@pytest.fixture(scope="module")
def made(lab: Callable[[int], Lab]) -> Lab:
    return lab(2)


@pytest.fixture
def host(made: Lab) -> Iterator[Host]:
    """A host whose user has its own login shell again afterwards."""
    host = made.host("lab-1")
    yield host
    host.exec(["usermod", "-s", "/bin/bash", "ops"], check=True)
    shell(host, f"cd {HOME} && rm -f .bashrc .tcshrc .profile .hushlogin /etc/sudoers.d/tty")


def reached(
    lab: Lab, host: Host, *, config: str = "", bastion: str | None = None
) -> "subprocess.CompletedProcess[str]":
    """Run a verb on the host, with `config` as the operator's own for ssh, seen by this run alone."""
    known = Path("/dev/null") if bastion else None
    at = Reached(host.name, host.address, "ops", bastion=bastion, host_key=host.host_key, known_hosts=known)
    verb = ["--", "mocker", "remove", "--root", "/var/lib/dynamo-multinode/none/here"]
    command = [sys.executable, "-m", "remote", *at.arguments(), *verb]
    here = 'mount -t tmpfs none "$0" && printf %s "$1" >"$0/config" && shift && exec "$@"'
    home = Path.home() / ".ssh"
    home.mkdir(mode=0o700, exist_ok=True)
    return subprocess.run(
        ["unshare", "--mount", "sh", "-c", here, str(home), config, *command],
        cwd=PROJECT,
        env={**os.environ, KEY_FILE: str(lab.key)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


TALK = "printf 'Welcome {}'; printf 'to this machine {}' >&2"
SHELLS = {
    "bash that talks": ("/bin/bash", f'echo "{TALK}" >.bashrc'),
    "sh": ("/bin/sh", "true"),
    "tcsh": ("/usr/bin/tcsh", "true"),
    "tcsh that talks": ("/usr/bin/tcsh", "echo 'echo -n Welcome; set prompt = \"a! \"' >.tcshrc"),
}


@pytest.mark.parametrize("name", SHELLS)
def test_what_a_login_shell_prints_is_no_part_of_an_answer(made: Lab, host: Host, name: str) -> None:
    program, prepares = SHELLS[name]
    shell(host, f"usermod -s {program} ops; cd {HOME}; {prepares}")
    completed = reached(made, host)
    assert completed.returncode == 0, completed.stderr
    assert json.loads(completed.stdout) == {"removed": True}


CONFIGS = {
    "local command": "PermitLocalCommand yes\nLocalCommand echo here\n",
    "remote command": "RemoteCommand echo there\nRequestTTY force\n",
    "no session": "SessionType none\nStdinNull yes\n",
    "in the background": "ForkAfterAuthentication yes\n",
    "forwards": "LocalForward 8022 localhost:22\nExitOnForwardFailure yes\nForwardX11 yes\n",
    "a terminal": "RequestTTY force\nEscapeChar ~\nVisualHostKey yes\n",
}


@pytest.mark.parametrize("name", CONFIGS)
def test_a_session_is_not_what_the_operators_configuration_makes_of_it(
    made: Lab, host: Host, name: str
) -> None:
    completed = reached(made, host, config=f"Host *\n{CONFIGS[name]}")
    assert completed.returncode == 0, completed.stderr
    assert json.loads(completed.stdout) == {"removed": True}


def test_a_stale_master_of_the_operators_is_not_waited_for(made: Lab, host: Host, tmp_path: Path) -> None:
    path = tmp_path / "master"
    with socket.socket(socket.AF_UNIX) as master:  # takes connections, and never answers
        master.bind(str(path))
        master.listen()
        completed = reached(made, host, config=f"Host *\nControlMaster auto\nControlPath {path}\n")
    assert json.loads(completed.stdout) == {"removed": True}


def test_sudo_that_wants_a_terminal_is_named_with_what_lifts_it(made: Lab, host: Host) -> None:
    shell(host, "echo 'Defaults requiretty' >/etc/sudoers.d/tty; chmod 440 /etc/sudoers.d/tty")
    completed = reached(made, host)
    assert completed.returncode == 1
    assert "lab-1" in completed.stderr
    assert "`Defaults:ops !requiretty`" in completed.stderr


def test_a_bastion_that_forbids_forwarding_is_blamed(made: Lab, host: Host) -> None:
    bastion = made.host("lab-2")
    file, again = "/etc/ssh/sshd_config.d/closed.conf", "systemctl reload ssh"
    shell(bastion, f"echo 'AllowTcpForwarding no' >{file}; {again}")
    try:
        completed = reached(made, host, bastion=f"ops@{bastion.address}")
    finally:
        shell(bastion, f"rm {file}; {again}")
    assert completed.returncode == 1
    assert f"bastion ops@{bastion.address} forbids it: set `AllowTcpForwarding yes`" in completed.stderr
