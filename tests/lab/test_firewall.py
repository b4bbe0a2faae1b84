"""Hosts whose firewall is managed: they serve, and who is outside finds SSH and the endpoint alone."""

import contextlib
import itertools
import json
import select
import socket
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace

import httpx
import pytest

from nodectl.contract import codec
from nodectl.host import firewall, nftables
from planning import manifests, plan
from settings import Settings
from tests.install_specs import generated, spec
from tests.lab.host_node import HostNode
from tests.waiting import eventually
from tools.hostlab.host import Host
from tools.hostlab.lab import BUNDLED, Lab

STACK = "walled"
MODEL = "tiny"
COUNT = 3
SSH, ENDPOINT, NATS, ETCD, WORKER, SYSTEM = 22, 8000, 4222, 2379, 9401, 9090
ALL = range(1, 65536)
AT_ONCE = 8000
SCAN_SECONDS = 1.5

Nodes = Mapping[str, HostNode]


def stack_file(hosts: Collection[Host], *, mode: str) -> Settings:
    """Return two frontends, and a simulated worker on each host."""
    target = {
        "kind": "hosts",
        "inventory": [{"name": host.name, "address": host.address} for host in hosts],
        "firewall": mode,
    }
    return Settings.model_validate(
        {
            "target": target,
            "runtime": BUNDLED,
            "engine": "mocker",
            "model": {"name": MODEL, "source": "generated"},
            "pattern": "agg",
            "roles": {"frontend": {"replicas": 2}, "aggregated": {"replicas": len(hosts)}},
        }
    )


def apply(nodes: Nodes, *, mode: str = "manage", only: Collection[str] = ()) -> None:
    """Converge `nodes`, or `only` some of them, to a plan for them all."""
    made = plan(stack_file([node.host for node in nodes.values()], mode=mode))
    addresses = {name: node.host.address for name, node in nodes.items()}
    for name, manifest in manifests(made, addresses).items():
        if not only or name in only:
            named = replace(manifest, identity="first")
            nodes[name].done("apply", stdin=codec.encode(named))


@pytest.fixture(scope="module")
def nodes(lab: Callable[[int], Lab]) -> Iterator[Nodes]:
    """A deployment with its firewall on three hosts."""
    hosts = lab(COUNT).hosts[:COUNT]
    made = {host.name: HostNode(host, stack=STACK, name=host.name) for host in hosts}
    for node in made.values():
        node.put_release()
        node.done("install", stdin=codec.encode(spec(model=generated(MODEL))))
    apply(made)
    yield made
    for node in made.values():
        node.put_release()
        node.done("remove")


def completes(nodes: Nodes) -> bool:
    """Return whether this machine, which is outside the group, gets a completion from the endpoint."""
    body = {"model": MODEL, "messages": [{"role": "user", "content": "hello"}], "max_tokens": 8}
    url = f"http://{nodes['lab-1'].host.address}:{ENDPOINT}/v1/chat/completions"
    try:
        reply = httpx.post(url, json=body, timeout=10, trust_env=False)
        return bool(reply.json()["usage"]["completion_tokens"] == 8)
    except (httpx.HTTPError, ValueError, KeyError):
        return False


def serves(nodes: Nodes) -> None:
    """Wait until all workers are found and a completion comes."""
    url = f"http://{nodes['lab-1'].host.address}:{ENDPOINT}/health"

    def found() -> bool:
        try:
            listed = httpx.get(url, timeout=5, trust_env=False).json()["instances"]
        except (httpx.HTTPError, ValueError, KeyError):
            return False
        return len([instance for instance in listed if instance["endpoint"] == "generate"]) >= COUNT

    eventually(found, what="every worker is found", seconds=60)
    eventually(lambda: completes(nodes), what="a completion", seconds=60)


def scan(host: Host, ports: Collection[int]) -> set[int]:
    """Return the ports that this machine, which is outside the group, can connect to."""
    found: set[int] = set()
    waiting = iter(sorted(ports))
    while chunk := list(itertools.islice(waiting, AT_ONCE)):
        with contextlib.ExitStack() as opened:
            sockets = {port: opened.enter_context(socket.socket()) for port in chunk}
            poll = select.poll()
            for port, connection in sockets.items():
                connection.setblocking(False)
                connection.connect_ex((host.address, port))
                poll.register(connection, select.POLLOUT)
            deadline = time.monotonic() + SCAN_SECONDS
            while sockets and (left := deadline - time.monotonic()) > 0:
                ready = {number for number, _ in poll.poll(1000 * left)}
                for port, connection in [(p, s) for p, s in sockets.items() if s.fileno() in ready]:
                    poll.unregister(connection)
                    del sockets[port]
                    if not connection.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
                        found.add(port)
    return found


def listens(host: Host) -> set[int]:
    """Return the ports that something listens on, from its own point of view."""
    shown = host.exec(["ss", "--no-header", "--listening", "--tcp", "--numeric"], check=True).stdout
    found = [line.split()[3] for line in shown.splitlines()]
    return {int(entry.rpartition(":")[2]) for entry in found if not entry.startswith(("127.", "[::1]"))}


def reaches(source: Host, target: Host, port: int) -> bool:
    script = f"import socket; socket.create_connection(({target.address!r}, {port}), timeout=2)"
    return source.exec(["python3", "-c", script]).returncode == 0


def is_loaded(host: Host) -> bool:
    return host.exec(["nft", "list", "table", "inet", nftables.TABLE]).returncode == 0


def test_all_serve_and_a_scan_from_outside_finds_ssh_and_the_endpoint_alone(nodes: Nodes) -> None:
    assert all(is_loaded(node.host) for node in nodes.values())
    serves(nodes)
    one, two, three = (node.host for node in nodes.values())
    assert listens(one) > {SSH, ENDPOINT, NATS, ETCD, WORKER, SYSTEM}
    assert scan(one, ALL) == {SSH, ENDPOINT}
    assert scan(two, listens(two)) == {SSH}
    assert scan(three, listens(three)) == {SSH}


def test_members_reach_each_other_where_the_plan_says_so_and_nowhere_else(nodes: Nodes) -> None:
    one, two, three = (node.host for node in nodes.values())
    assert reaches(three, one, NATS)
    assert reaches(two, three, WORKER), "the second frontend sends requests to every worker"
    assert WORKER in listens(two)
    assert not reaches(three, two, WORKER), "a host without a frontend sends none"


def test_a_way_that_is_closed_is_told_by_name(nodes: Nodes) -> None:
    three, two = nodes["lab-3"], nodes["lab-2"].host
    head = f"{nodes['lab-1'].host.address}:{NATS}"
    targets = [
        {"node": "lab-1", "endpoint": head, "why": "events"},
        {"node": "lab-2", "endpoint": f"{two.address}:{WORKER}", "why": "requests"},
    ]
    spec = json.dumps({"node": "lab-3", "targets": targets, "seconds": 1})
    launcher = f"/opt/dynamo-multinode/{three.release}/nodectl/run"
    ran = three.host.exec([launcher, "mocker", "probe"], stdin=spec)
    assert ran.returncode == 1
    assert "lab-3 cannot reach 1 of 2 ports that it needs:" in ran.stderr
    assert (
        f"lab-2 {two.address}:{WORKER}  no answer within 3 s, as behind a firewall; for: requests"
        in ran.stderr
    )


def test_every_port_that_sshd_listens_on_stays_open(nodes: Nodes) -> None:
    node = nodes["lab-2"]
    node.output_of("/usr/sbin/sshd", "-p", "2222")
    assert scan(node.host, {2222}) == set(), "it came after the rules"
    node.output_of("rm", str(firewall.RULES))
    apply(nodes, only=["lab-2"])
    assert scan(node.host, {SSH, 2222}) == {SSH, 2222}


def test_the_rules_are_there_after_a_reboot_and_after_the_hosts_own_are_loaded_again(nodes: Nodes) -> None:
    head = nodes["lab-1"].host
    head.reboot()
    assert is_loaded(head)
    serves(nodes)
    assert scan(head, listens(head)) == {SSH, ENDPOINT}
    other = nodes["lab-3"].host
    other.exec(["systemctl", "start", "nftables"], check=True)
    other.exec(["systemctl", "restart", "nftables"], check=True)
    # systemctl waits for the unit that it is given, and not for those that restart with it
    eventually(lambda: is_loaded(other), what="the rules are loaded again")
    assert scan(other, listens(other)) == {SSH}


def test_who_left_the_group_may_finish_and_is_shut_out_then(nodes: Nodes) -> None:
    one, three = nodes["lab-1"].host, nodes["lab-3"].host
    apply({name: nodes[name] for name in ("lab-1", "lab-2")})
    assert reaches(three, one, NATS)
    listed = one.exec(["nft", "--json", "list", "set", "inet", nftables.TABLE, nftables.LEAVING], check=True)
    [element] = json.loads(listed.stdout)["nftables"][1]["set"]["elem"]
    assert element["elem"]["val"] == three.address
    assert element["elem"]["timeout"] == 3600
    one.exec(["nft", "flush", "set", "inet", nftables.TABLE, nftables.LEAVING], check=True)
    assert not reaches(three, one, NATS)
    apply(nodes)
    serves(nodes)


def test_another_node_of_the_same_host_is_let_in_beside_the_first(nodes: Nodes) -> None:
    host = nodes["lab-3"].host
    other = HostNode(host, stack="other", name="n")
    opening = {"first": 7777, "last": 7777, "sources": [], "group": False, "why": ["a test"]}
    other.done("apply", stdin=other.manifest() | {"firewall": {"openings": [opening]}})
    rules = host.exec(["nft", "list", "table", "inet", nftables.TABLE], check=True).stdout
    assert f"dport {WORKER} " in rules
    assert "dport 7777 " in rules
    other.done("remove")
    rules = host.exec(["nft", "list", "table", "inet", nftables.TABLE], check=True).stdout
    assert f"dport {WORKER} " in rules
    assert "7777" not in rules


def test_a_host_without_nft_is_told_what_to_install_and_nothing_starts(nodes: Nodes) -> None:
    node = nodes["lab-2"]
    lacking = HostNode(node.host, stack="lacking", name="n")
    node.output_of("mv", "/usr/sbin/nft", "/usr/sbin/nft.away")
    try:
        stdin = lacking.manifest(one=lacking.fake("one")) | {"firewall": {"openings": []}}
        ran = lacking.run("apply", stdin=stdin)
    finally:
        node.output_of("mv", "/usr/sbin/nft.away", "/usr/sbin/nft")
    assert ran.returncode == 2
    assert "nft is not on this machine: `apt install nftables`" in ran.stderr
    assert lacking.unit("one") not in node.output_of("ls", "/etc/systemd/system")
    lacking.done("remove")


def test_a_firewall_that_is_no_longer_managed_leaves_nothing(nodes: Nodes) -> None:
    apply(nodes, mode="none")
    for node in nodes.values():
        assert not is_loaded(node.host)
        assert not node.there(str(firewall.RULES))
        assert not node.there(str(firewall.UNIT))
    head = nodes["lab-1"].host
    assert scan(head, {NATS, ETCD}) == {NATS, ETCD}, "what the rules had kept from this machine"


def test_a_removed_node_leaves_nothing_of_its_firewall(nodes: Nodes) -> None:
    apply(nodes)
    node = nodes["lab-3"]
    assert is_loaded(node.host)
    node.done("remove")
    assert not is_loaded(node.host)
    assert not node.there(str(firewall.RULES))
    assert "dynamo" not in node.output_of("ls", "-R", "/etc/systemd/system")
