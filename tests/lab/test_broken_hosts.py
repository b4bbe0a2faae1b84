"""Faults of a host end an `up` in time, with one line that names it; once repaired, the next one serves."""

import contextlib
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import pytest

from remote.host import KEY_FILE
from tests.lab.shell import shell
from tests.lab.stacks import NETWORK, LabStacks
from tools.hostlab.host import Host
from tools.hostlab.keys import public_host_key
from tools.hostlab.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

STACK = "on-broken"
FIRST, NOBODY = (Lab(NETWORK).network.address(number) for number in (1, 240))
"""The addresses of lab-1 and of no host."""

BOUND = 120
"""Seconds that an `up` may take, whatever is wrong."""

Break = Callable[[Host], AbstractContextManager[None]]


@pytest.fixture(scope="module")
def stacks(lab: Callable[[int], Lab], tmp_path_factory: pytest.TempPathFactory) -> Iterator[LabStacks]:
    """A stack that serves on two hosts."""
    made = LabStacks.make(tmp_path_factory.mktemp("checkout"), lab(2))
    write(made, 0)
    made.up(STACK)
    yield made
    made.down(STACK)


def write(stacks: LabStacks, change: int, **entry: Any) -> None:
    """Write the stack file with a change for both workers, and other keys for lab-2 in the inventory."""
    role = {"replicas": 2, "env": {"CHANGE": str(change)}}
    stacks.write(STACK, {"pattern": "agg", "roles": {"aggregated": role}}, hosts=2, others={"lab-2": entry})


def up(stacks: LabStacks, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `pulumi up` within the bound."""
    before = dict(stacks.checkout.env)
    stacks.checkout.env.update(env or {})
    try:
        command = ["pulumi", "up", "--yes", "--skip-preview", "--stack", STACK]
        return stacks.checkout.run(*command, check=False, seconds=BOUND)
    finally:
        stacks.checkout.env.clear()
        stacks.checkout.env.update(before)


def scripted(breaks: str, repairs: str) -> Break:
    """Return what breaks a host by a shell script on it, and repairs it by another."""

    @contextlib.contextmanager
    def broken(host: Host) -> Iterator[None]:
        shell(host, breaks)
        try:
            yield
        finally:
            shell(host, repairs)

    return broken


AS_IT_IS = scripted("true", "true")


@contextlib.contextmanager
def without_power(host: Host) -> Iterator[None]:
    host.kill()
    try:
        yield
    finally:
        host.start()


@contextlib.contextmanager
def lossy(host: Host) -> Iterator[None]:
    """Lose 5 % of all packets to the host."""
    drop = f'oifname "vb-{host.name}" numgen random mod 100 < 5 drop'
    hook = "type filter hook forward priority 0"
    rules = f"table bridge lossy {{\nchain forward {{\n{hook}\n{drop}\n}}\n}}\n"
    inside = ["nsenter", f"--net={host.network.namespace}", "nft"]
    subprocess.run([*inside, "-f", "-"], input=rules, text=True, check=True)
    try:
        yield
    finally:
        subprocess.run([*inside, "delete", "table", "bridge", "lossy"], check=True)


SSHD = "systemctl reload ssh"
SSHD_D = "/etc/ssh/sshd_config.d"
CROWD = """
for try in $(seq 100); do
    setsid nc -d 127.0.0.1 22 >/dev/null 2>&1 &
    timeout 1 nc -d 127.0.0.1 22 | grep -q 'Exceeded MaxStartups' && exit 0
    sleep 0.1
done
exit 1
"""
"""Connects to sshd until it turns newcomers away; it forgets who came before it read its settings again."""


@dataclass(frozen=True)
class Case:
    """A host in some state: what `up` says of it, or nothing where it must succeed."""

    broken: Break = AS_IT_IS
    says: str | None = None
    entry: Mapping[str, Any] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)


NO_KEY = {KEY_FILE: "", "SSH_AUTH_SOCK": "", "HOME": "/nonexistent"}

CASES = {
    "off": Case(without_power, "does not answer"),
    "sshd stopped": Case(
        scripted("systemctl stop ssh.socket ssh 2>/dev/null; true", "systemctl start ssh"),
        "refuses connections",
    ),
    "no key": Case(env=NO_KEY, says="does not let user ops in"),
    "a dead agent": Case(
        env=NO_KEY | {"SSH_AUTH_SOCK": "/tmp/no-agent"},
        says="the SSH agent at /tmp/no-agent .* does not answer",
    ),
    "a key file that is not there": Case(
        env=NO_KEY | {KEY_FILE: "/nonexistent"}, says="does not let user ops in"
    ),
    "another user": Case(entry={"user": "somebody"}, says="does not let user somebody in"),
    "another port": Case(entry={"port": 2222}, says="correct `port`"),
    "another host's key": Case(entry={"hostKey": public_host_key("lab-9")}, says="correct its `hostKey`"),
    "a name that nobody knows": Case(entry={"host": "gpu-2.invalid"}, says="correct `host`"),
    "a bastion that is off": Case(entry={"bastion": f"ops@{NOBODY}"}, says="its bastion is not"),
    "a bastion that keeps us out": Case(entry={"bastion": f"nobody2@{FIRST}"}, says="its bastion is not"),
    "no sudo": Case(
        scripted("mv /etc/sudoers.d/ops /root/ops", "mv /root/ops /etc/sudoers.d/ops"), "may not use sudo"
    ),
    "no shell": Case(
        scripted("usermod -s /usr/sbin/nologin ops", "usermod -s /bin/bash ops"),
        "its login shell runs nothing",
    ),
    "no python": Case(
        scripted(
            "mount -t tmpfs none /usr/local/bin; mount --bind /dev/null /usr/bin/python3.11",
            "umount /usr/local/bin /usr/bin/python3.11",
        ),
        "no Python 3.11 to 3.13",
    ),
    "a full disk": Case(
        scripted("mount -t tmpfs -o size=4k full /opt/dynamo-multinode", "umount /opt/dynamo-multinode"),
        "has no room left",
    ),
    "no sshd for newcomers": Case(
        scripted(
            f"echo 'MaxStartups 1:100:1' > {SSHD_D}/a.conf; {SSHD}; {CROWD}",
            f"rm {SSHD_D}/a.conf; {SSHD}; pkill nc; true",
        ),
        "raise `MaxStartups`",
    ),
    "MaxStartups at its default": Case(
        scripted(f"echo 'MaxStartups 10:30:100' > {SSHD_D}/a.conf; {SSHD}", f"rm {SSHD_D}/a.conf; {SSHD}")
    ),
    "through a bastion": Case(entry={"bastion": f"ops@{FIRST}"}),
    "lossy": Case(lossy),
}


@pytest.mark.parametrize("name", CASES)
def test_a_broken_host_is_named_with_the_remedy_and_the_next_up_converges(
    stacks: LabStacks, name: str
) -> None:
    case, number = CASES[name], 1 + 2 * list(CASES).index(name)
    host = stacks.lab.host("lab-2")
    write(stacks, number, **case.entry)
    began = time.monotonic()
    with case.broken(host):
        completed = up(stacks, case.env)
    print(f"{name}: {time.monotonic() - began:.0f} s")
    if case.says is None:
        assert completed.returncode == 0, completed.stdout
        return
    assert completed.returncode != 0
    lines = [
        line for line in (completed.stdout + completed.stderr).splitlines() if re.search(case.says, line)
    ]
    assert any("lab-2" in line for line in lines), completed.stdout
    assert "Traceback" not in completed.stdout + completed.stderr
    write(stacks, number + 1)
    after = up(stacks)
    assert after.returncode == 0, after.stdout


def test_a_host_that_dies_in_the_middle_of_a_command_ends_it_within_a_bound(stacks: LabStacks) -> None:
    host = stacks.lab.host("lab-2")
    arguments = ["--name", "lab-2", "--host", host.address, "--user", "ops", "--host-key", host.host_key]
    follow = [
        "--",
        "mocker",
        "logs",
        "--root",
        f"/var/lib/dynamo-multinode/{STACK}/lab-2",
        "-f",
        "aggregated-1",
    ]
    running = subprocess.Popen(
        [sys.executable, "-m", "remote", *arguments, *follow],
        cwd=stacks.checkout.path,
        env=stacks.checkout.env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 30
    while "journalctl" not in host.exec(["ps", "-eo", "comm"]).stdout and time.monotonic() < deadline:
        time.sleep(0.1)
    with without_power(host):
        assert running.wait(timeout=BOUND) == 1
        output = running.stderr.read() if running.stderr else ""
    assert "lab-2" in output
    assert "in the middle of a command" in output


SLOW = """\
import asyncio, sys
host, delay = sys.argv[1], float(sys.argv[2])
async def pump(reader, writer):
    loop, queue = asyncio.get_running_loop(), asyncio.Queue()
    async def send():
        while True:
            at, data = await queue.get()
            await asyncio.sleep(max(0, at - loop.time()))
            if not data:
                return writer.close()
            writer.write(data)
    sending = asyncio.create_task(send())
    while True:
        data = await reader.read(65536)
        queue.put_nowait((loop.time() + delay, data))
        if not data:
            return await sending
async def serve(reader, writer):
    to = await asyncio.open_connection(host, 22)
    await asyncio.gather(pump(reader, to[1]), pump(to[0], writer))
async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""
"""A way to sshd that takes its time: each direction comes `delay` seconds later."""


def test_a_host_that_is_half_a_second_away_is_brought_up(stacks: LabStacks) -> None:
    host = stacks.lab.host("lab-2")
    slow = subprocess.Popen(
        [sys.executable, "-c", SLOW, host.address, "0.25"], stdout=subprocess.PIPE, text=True
    )
    try:
        port = int(slow.stdout.readline()) if slow.stdout else 0
        write(stacks, 1001, host="127.0.0.1", port=port)
        completed = up(stacks)
        assert completed.returncode == 0, completed.stdout
    finally:
        os.kill(slow.pid, signal.SIGKILL)
        slow.wait()
        write(stacks, 1002)
        assert up(stacks).returncode == 0
