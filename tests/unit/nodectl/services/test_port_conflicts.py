"""A port that somebody else holds is told before a service starts in vain."""

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodectl.common import procfs
from nodectl.common.errors import NodectlError
from nodectl.common.layout import MARKER
from nodectl.services import port_conflicts
from nodectl.services.port_conflicts import Need, Own

UNITS = "dynamo.stack.node-1."
ROOT = Path("/nowhere/stack/node-1")
OWN = Own(ROOT, UNITS, session=None)
ID = "0123456789ab" + 52 * "c"


def need(port: int, host: str = "127.0.0.1") -> Need:
    return Need("etcd", "etcdPeer", host, port)


@pytest.fixture(params=["127.0.0.1", "0.0.0.0", "::"])
def port(request: pytest.FixtureRequest) -> Iterator[int]:
    """A port that this process listens on, on one address or on all."""
    with socket.socket(socket.AF_INET6 if ":" in request.param else socket.AF_INET) as listener:
        listener.bind((request.param, 0))
        listener.listen()
        yield listener.getsockname()[1]


@pytest.fixture
def held() -> Iterator[int]:
    """A port that this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


@pytest.fixture
def ours(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this process belong to no unit and no container, wherever the tests run."""
    monkeypatch.setattr(procfs, "control_groups", lambda pid: ["0::/init.scope"])


def refusal(*needs: Need, own: Own = OWN) -> str:
    with pytest.raises(NodectlError) as refused:
        port_conflicts.check(needs, own, "remove")
    return str(refused.value)


@pytest.mark.usefixtures("ours")
def test_service_port_holder_remedy_and_the_key_that_moves_it_are_named(port: int) -> None:
    said = refusal(need(port))
    assert said.startswith(f"etcd: port {port} of 127.0.0.1 is taken by process {os.getpid()} (")
    assert said.endswith(
        "; end it, then run `up` again, or write another number at `ports.etcdPeer` of the stack file"
    )


@pytest.mark.usefixtures("ours")
def test_every_port_that_is_taken_is_told_at_once(held: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        second = other.getsockname()[1]
        said = refusal(need(held), Need("nats", "nats", "127.0.0.1", second))
    assert [line.partition(" of ")[0] for line in said.splitlines()] == [
        f"etcd: port {held}",
        f"nats: port {second}",
    ]


def test_a_service_that_listens_on_every_address_meets_those_that_listen_on_one(port: int) -> None:
    assert f"etcd: port {port} is taken by" in refusal(need(port, "0.0.0.0"))


def test_what_listens_for_ipv6_alone_is_no_obstacle() -> None:
    with socket.socket(socket.AF_INET6) as listener:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(("::", 0))
        listener.listen()
        port_conflicts.check([need(listener.getsockname()[1])], OWN, "remove")


def test_a_port_that_nobody_holds_there_is_free() -> None:
    with socket.create_server(("127.0.0.2", 0)) as listener:
        port_conflicts.check([need(listener.getsockname()[1])], OWN, "remove")


def test_a_process_that_cannot_be_seen_is_told_as_another_users(
    held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procfs, "sockets", lambda pid: set())
    assert f"is taken by a process of another user; `sudo ss -ltnp 'sport = :{held}'` names it" in refusal(
        need(held)
    )


def test_what_the_nodes_own_units_left_is_no_obstacle(held: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(procfs, "control_groups", lambda pid: [f"0::/system.slice/{UNITS}etcd.service"])
    port_conflicts.check([need(held)], OWN, "remove")


LISTEN = """
import socket, subprocess, sys, time
with socket.create_server(("127.0.0.1", 0)) as listener:
    listener.set_inheritable(True)
    print(listener.getsockname()[1], flush=True)
    bare = {"PATH": "/bin:/usr/bin"}  # as after a process overwrote its environment with a title
    subprocess.run(["sleep", "60"], env=bare, close_fds=False)
"""


@pytest.mark.usefixtures("ours")
@pytest.mark.parametrize("mark", [MARKER, "", "session"])
def test_a_process_is_the_nodes_own_by_environment_or_session_of_itself_or_a_parent(mark: str) -> None:
    env = {MARKER: str(ROOT)} if mark == MARKER else {}
    with subprocess.Popen(
        [sys.executable, "-c", LISTEN], env=env, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as service:
        assert service.stdout
        port = int(service.stdout.readline())
        try:
            own = Own(ROOT, UNITS, session=service.pid if mark == "session" else None)
            if mark:
                port_conflicts.check([need(port)], own, "remove")
            else:
                assert "is taken by process" in refusal(need(port), own=own)
        finally:
            os.killpg(service.pid, 9)


@pytest.mark.parametrize(
    ("groups", "says"),
    [
        (
            "0::/system.slice/etcd.service",
            "etcd.service; run `sudo systemctl disable --now etcd.service` there",
        ),
        ("12:pids:/\n1:name=systemd:/system.slice/etcd.service", "etcd.service; run `sudo systemctl"),
        (
            "0::/system.slice/dynamo.v1.2.gpu-1.etcd.service",
            (
                "dynamo.v1.2.gpu-1.etcd.service; take stack v1.2 down first; where that is no more, "
                "run `sudo remove --root /var/lib/dynamo-multinode/v1.2/gpu-1` there"
            ),
        ),
        ("0::/system.slice/ssh.service", "ssh.service; write another number at `ports.etcdPeer`"),
        (f"0::/system.slice/docker-{ID}.scope", "container 0123456789ab, process {pid} ({name}); stop it"),
        (f"0::/docker/{ID}", "container 0123456789ab, process {pid} ({name}); stop it"),
        (f"0::/machine.slice/libpod-{ID}.scope/container", "container 0123456789ab, process {pid}"),
        ("0::/user.slice/user-0.slice/session-3.scope", "process {pid} ({name}); end it"),
        ("0::/user.slice/user-1.slice/user@1.service/app.slice/x.service", "process {pid} ({name}); end it"),
    ],
)
def test_whoever_holds_it_is_named_with_what_ends_it(
    held: int, monkeypatch: pytest.MonkeyPatch, groups: str, says: str
) -> None:
    monkeypatch.setattr(procfs, "control_groups", lambda pid: groups.splitlines())
    wanted = says.format(pid=os.getpid(), name=procfs.name(os.getpid()))
    assert f"is taken by {wanted}" in refusal(need(held))


@pytest.mark.usefixtures("ours")
def test_a_published_port_of_a_container_is_not_blamed_on_the_daemon(
    held: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(procfs, "control_groups", lambda pid: ["0::/system.slice/docker.service"])
    monkeypatch.setattr(procfs, "name", lambda pid: "docker-proxy")
    said = refusal(need(held))
    assert f"`docker ps --filter publish={held}`" in said
    assert "systemctl" not in said


def test_a_port_that_systemd_itself_holds_is_blamed_on_the_socket_unit(
    held: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(port_conflicts, "_INIT", os.getpid())
    systemctl = tmp_path / "systemctl"
    systemctl.write_text(
        f"#!/bin/sh\necho '/run/dbus/socket dbus.socket dbus.service'\n"
        f"echo '[::]:{held} cockpit.socket cockpit.service'\n"
    )
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    said = refusal(need(held))
    assert "is taken by cockpit.socket; run `sudo systemctl disable --now cockpit.socket` there" in said
