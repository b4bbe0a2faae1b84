"""The lab's hosts behave as machines do, and `down` leaves nothing of them."""

import ipaddress
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from nodectl.contract import codec
from tests.install_specs import spec
from tests.lab.stacks import NETWORK
from tools.hostlab.errors import LabError
from tools.hostlab.host import Host
from tools.hostlab.lab import Lab
from tools.hostlab.network import Network
from tools.toolchain.common import PROJECT

WithHosts = Callable[[int], Lab]

OTHER_NETWORK = "10.75.0.0/24"
OTHER = {**os.environ, "LAB_NETWORK": OTHER_NETWORK}

SERVICE = """\
[Service]
ExecStart=/usr/bin/python3 -m http.server 9000
ExecStop=/usr/bin/touch /var/lib/stopped-in-good-order
Restart=always
RestartSec=0
[Install]
WantedBy=multi-user.target
"""

CLOSED = """\
table inet closed {
    chain in { type filter hook input priority 0; tcp dport 9000 drop; }
}
"""


@pytest.fixture(scope="module")
def served(lab: WithHosts) -> Lab:
    """Two hosts; the first runs a service that starts at boot and notes when it was asked to stop."""
    up = lab(2)
    host = up.host("lab-1")
    host.exec(["tee", "/etc/systemd/system/web.service"], stdin=SERVICE, check=True)
    host.exec(["systemctl", "enable", "--now", "web"], check=True)
    return up


@pytest.fixture
def command_line() -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """`scripts/lab` for a lab of its own."""

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["scripts/lab", *arguments],
            cwd=PROJECT,
            env=OTHER,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )

    call("down")
    yield call
    call("down")


def until(reached: Callable[[], bool], seconds: float = 60) -> bool:
    """Wait for a condition, within a bound; return whether it came."""
    deadline = time.monotonic() + seconds
    while not (there := reached()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return there


def ssh(lab: Lab, host: Host, user: str, folder: Path, command: str) -> subprocess.CompletedProcess[str]:
    known = folder / "known_hosts"
    known.write_text(f"{host.address} {host.host_key}\n", encoding="utf-8")
    options = [
        f"UserKnownHostsFile={known}",
        "StrictHostKeyChecking=yes",
        "BatchMode=yes",
        "ConnectTimeout=10",
    ]
    return subprocess.run(
        [
            "ssh",
            "-i",
            str(lab.key),
            *(f"-o{option}" for option in options),
            f"{user}@{host.address}",
            command,
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def said(host: Host, *command: str) -> str:
    return host.exec(command, check=True).stdout.strip()


def reaches(host: Host, address: str, port: int) -> bool:
    """Return whether a host can connect to a port."""
    script = f"import socket; socket.create_connection(({address!r}, {port}), timeout=2)"
    return host.exec(["python3", "-c", script]).returncode == 0


def traces() -> set[str]:
    """Return everything of a lab that is left on this machine."""
    processes = {
        f"process {process.info['name']}"
        for process in psutil.process_iter(["name", "cwd"])
        if "lab10.75.0" in (process.info["cwd"] or "")
    }
    groups = {f"group {path}" for path in Path("/sys/fs/cgroup").glob("**/lab10.75.0.*")}
    links = {f"link {name}" for name in psutil.net_if_addrs() if name == "lab10.75.0"}
    mounts = {
        f"mount {mount.mountpoint}"
        for mount in psutil.disk_partitions(all=True)
        if "lab10.75.0" in mount.mountpoint
    }
    disks = {f"disk {path}" for path in (PROJECT / ".run/lab").glob("lab10.75.0")}
    return processes | groups | links | mounts | disks


@pytest.mark.parametrize(("user", "command"), [("ops", "sudo -n id -u"), ("root", "id -u")])
def test_both_users_log_in_with_the_key_and_become_root_where_the_host_key_is_the_listed_one(
    lab: WithHosts, tmp_path: Path, user: str, command: str
) -> None:
    up = lab(2)
    answer = ssh(up, up.host("lab-2"), user, tmp_path, command)
    assert (answer.stdout, answer.stderr, answer.returncode) == ("0\n", "", 0)


def test_systemd_starts_a_killed_service_again(served: Lab) -> None:
    host = served.host("lab-1")
    killed = said(host, "systemctl", "show", "--property=MainPID", "--value", "web")
    host.exec(["kill", "-9", killed], check=True)
    assert until(
        lambda: said(host, "systemctl", "show", "--property=MainPID", "--value", "web") not in ("0", killed)
    )
    assert until(lambda: reaches(host, "127.0.0.1", 9000))


@pytest.mark.parametrize(
    ("restart", "in_good_order"),
    [
        (lambda host: (host.stop(), host.start()), True),
        (lambda host: (host.kill(), host.start()), False),
        (lambda host: host.reboot(), True),
    ],
    ids=["stop and start", "kill and start", "reboot"],
)
def test_a_host_boots_again_with_its_disk_and_only_a_power_cut_ends_services_unasked(
    served: Lab, restart: Callable[[Host], object], in_good_order: bool
) -> None:
    host = served.host("lab-1")
    host.exec(["rm", "-f", "/var/lib/stopped-in-good-order"], check=True)
    host.exec(["nft", "add", "table", "inet", "lost_at_boot"], check=True)
    machine, boot = said(host, "cat", "/etc/machine-id"), said(host, "cat", "/proc/sys/kernel/random/boot_id")

    restart(host)

    assert said(host, "cat", "/etc/machine-id") == machine
    assert said(host, "cat", "/proc/sys/kernel/random/boot_id") != boot
    assert said(host, "nft", "list", "tables") == ""
    assert (host.exec(["test", "-e", "/var/lib/stopped-in-good-order"]).returncode == 0) == in_good_order
    assert until(lambda: reaches(served.host("lab-2"), host.address, 9000))


@pytest.mark.parametrize("cut", [Host.stop, Host.kill])
def test_a_host_that_is_off_answers_nobody(served: Lab, cut: Callable[[Host], None]) -> None:
    host = served.host("lab-2")
    cut(host)
    assert not host.running
    assert not reaches(served.host("lab-1"), host.address, 22)
    with pytest.raises(LabError, match="lab-2 is off; start it"):
        host.exec(["true"])
    host.start()
    assert reaches(served.host("lab-1"), host.address, 22)


def test_a_firewall_rule_of_a_host_holds(served: Lab) -> None:
    host, other = served.host("lab-1"), served.host("lab-2")
    assert until(lambda: reaches(other, host.address, 9000))
    host.exec(["nft", "--file", "-"], stdin=CLOSED, check=True)
    assert not reaches(other, host.address, 9000)
    assert reaches(other, host.address, 22)
    host.exec(["nft", "delete", "table", "inet", "closed"], check=True)
    assert reaches(other, host.address, 9000)


def test_a_host_finds_the_node_environment_in_place_and_cannot_change_it(lab: WithHosts) -> None:
    host = lab(1).host("lab-1")
    archive = subprocess.run(["tar", "-c", "nodectl"], cwd=PROJECT, capture_output=True, check=True).stdout
    subprocess.run(host.entering(["tar", "-x", "-C", "/opt"]), input=archive, check=True)
    install = ["env", "--chdir=/opt", "python3", "-m", "nodectl", "install"]
    assert '"cached": true' in host.exec(install, stdin=codec.written(spec()), check=True).stdout
    for folder in ("env", "models"):
        touched = host.exec(["touch", f"/root/.cache/dynamo-multinode/{folder}/new"])
        assert "Read-only file system" in touched.stderr


def test_up_again_boots_nothing_again_and_starts_what_is_off(lab: WithHosts) -> None:
    up = lab(2)
    boot = said(up.host("lab-1"), "cat", "/proc/sys/kernel/random/boot_id")
    up.host("lab-2").kill()
    up.up(2)
    assert said(up.host("lab-1"), "cat", "/proc/sys/kernel/random/boot_id") == boot
    assert said(up.host("lab-2"), "uname", "-n") == "lab-2"


def test_up_with_fewer_hosts_removes_the_others(
    command_line: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    assert command_line("up", "2").returncode == 0
    assert command_line("up", "1").returncode == 0
    assert command_line("status").stdout.split() == ["lab-1", "10.75.0.11", "on"]


def test_exec_passes_arguments_and_the_exit_status_as_they_are(
    command_line: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    assert command_line("up", "1").returncode == 0
    odd = "a 'b' \"c\" $(d)\n\\ é"
    echoed = command_line("exec", "lab-1", "printf", "%s", odd)
    assert (echoed.stdout, echoed.returncode) == (odd, 0)
    assert command_line("exec", "lab-1", "sh", "-c", "exit 7").returncode == 7


def kill_up_while_hosts_boot(lab: Lab) -> None:
    lab.down()
    up = subprocess.Popen(["scripts/lab", "up", "2"], cwd=PROJECT, env=OTHER, stdout=subprocess.DEVNULL)
    assert until((lab.folder / "lab-1/console.log").exists)
    up.kill()
    up.wait(timeout=10)


def lose_the_disks(lab: Lab) -> None:
    shutil.rmtree(lab.folder)


def lose_the_network(lab: Lab) -> None:
    subprocess.run(["ip", "link", "delete", lab.network.name], check=True)


@pytest.mark.parametrize("damage", [kill_up_while_hosts_boot, lose_the_disks, lose_the_network])
def test_up_makes_good_whatever_happened_and_down_leaves_nothing(
    command_line: Callable[..., subprocess.CompletedProcess[str]], damage: Callable[[Lab], None]
) -> None:
    assert command_line("up", "2").returncode == 0
    damage(Lab(OTHER_NETWORK))

    again = command_line("up", "2")
    assert again.returncode == 0, again.stderr
    assert reaches(Lab(OTHER_NETWORK).host("lab-1"), "10.75.0.12", 22)
    assert {trace.split()[0] for trace in traces()} == {"process", "group", "link", "mount", "disk"}

    assert command_line("down").returncode == 0
    assert traces() == set()
    assert command_line("down").returncode == 0


def test_a_range_that_carries_the_lab_of_another_folder_is_refused(lab: WithHosts, tmp_path: Path) -> None:
    lab(1)
    theirs = Network(ipaddress.IPv4Network(NETWORK), tmp_path)
    with pytest.raises(
        LabError, match=f"{NETWORK} carries the lab of {PROJECT}: run `scripts/lab down` there"
    ):
        theirs.check_owner()


def test_a_range_whose_hosts_are_all_gone_is_free_for_another_folder(tmp_path: Path) -> None:
    span = ipaddress.IPv4Network("10.76.0.0/24")
    theirs = Network(span, tmp_path)
    theirs.make()
    try:
        ours = Network(span, PROJECT)
        ours.check_owner()
        ours.make()
        assert ours.complete
    finally:
        theirs.remove()


def test_a_range_that_this_machine_uses_is_refused(tmp_path: Path) -> None:
    taken = next(
        ipaddress.IPv4Interface(f"{address.address}/24").network
        for name, addresses in psutil.net_if_addrs().items()
        for address in addresses
        if address.family == 2 and name != "lo" and not name.startswith("lab")
    )
    with pytest.raises(LabError, match=f"{taken} is in use on this machine"):
        Network(taken, tmp_path).make()
