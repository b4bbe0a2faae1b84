"""Sources that may connect to a host with a managed firewall."""

import shutil
import subprocess
from typing import Any

import pytest

from nodectl.common.errors import BadInputError
from nodectl.contract import codec
from nodectl.contract.firewall import Firewall, Opening
from nodectl.host import firewall, nftables
from planning import installed, manifests, plan
from settings import Settings
from tests.unit.plan_examples import addresses, settings

CLIENTS = "203.0.113.0/24"


def hosts(names: int = 3, *, frontends: int = 1, managed: bool = True, **others: Any) -> Settings:
    """Return a stack file of a prefill worker and decode workers on so many hosts."""
    target: dict[str, Any] = {
        "kind": "hosts",
        "inventory": [{"name": f"h{n}", "address": f"10.0.0.{n}"} for n in range(1, names + 1)],
    }
    if managed:
        target["firewall"] = {"mode": "manage", "clients": [CLIENTS]} | others
    roles = {
        "frontend": {"replicas": frontends},
        "prefill": {"replicas": 1},
        "decode": {"replicas": names - 1},
    }
    return settings("disagg", roles, target=target, engine="vllm")


def openings(of: Settings, node: str) -> list[Opening]:
    made = plan(of)
    found = manifests(made, addresses(made))[node].firewall
    assert found is not None
    return found.openings


def may_connect(found: list[Opening], port: int) -> set[str]:
    return {s.removesuffix("/32") for one in found if one.first <= port <= one.last for s in one.sources}


def test_each_port_is_open_to_those_alone_who_need_it() -> None:
    head, worker = openings(hosts(), "h1"), openings(hosts(), "h3")
    assert may_connect(head, 8000) == {CLIENTS, "10.0.0.2", "10.0.0.3"}
    assert may_connect(head, 4222) == may_connect(head, 2379) == {"10.0.0.2", "10.0.0.3"}
    assert may_connect(head, 8222) == may_connect(head, 2380) == set()
    assert may_connect(worker, 9401) == {"10.0.0.1"}
    assert may_connect(worker, 8000) == may_connect(worker, 4222) == set()
    assert may_connect(worker, 40000) == {"10.0.0.1"}, "prefill, for KV blocks"


def test_frontends_behind_a_balancer_are_closed_to_clients() -> None:
    found = openings(hosts(frontends=2), "h2")
    assert may_connect(found, 8000) == set()
    assert may_connect(found, 8001) == {"10.0.0.1", "10.0.0.3"}
    assert may_connect(found, 8002) == {"10.0.0.1"}
    assert CLIENTS in may_connect(openings(hosts(frontends=2), "h1"), 8000)


def test_a_host_whose_firewall_is_its_own_is_told_nothing() -> None:
    made = plan(hosts(managed=False))
    assert all(one.firewall is None for one in manifests(made, addresses(made)).values())
    assert installed(made, "h1").programs == []
    assert installed(plan(hosts()), "h2").programs == ["nft"]


def test_more_ports_stay_open_where_the_stack_file_says_so() -> None:
    [own] = [one for one in openings(hosts(openPorts=[2222]), "h2") if one.first == 2222]
    assert own.sources == []


def text(found: list[Opening], *ssh: int) -> str:
    return nftables.text(found, ssh or {22})


def rules(found: list[Opening], *ssh: int) -> list[str]:
    return [line.strip() for line in text(found, *ssh).splitlines()]


def test_the_rules_refuse_all_that_is_not_named() -> None:
    lines = rules(openings(hosts(), "h1"), 22, 2200)
    assert "type filter hook input priority filter; policy drop;" in lines
    assert 'tcp dport { 22, 2200 } accept comment "SSH"' in lines
    assert f'ip saddr {{ {CLIENTS} }} tcp dport 8000 accept comment "requests"' in lines
    events = [line for line in lines if "tcp dport 4222 " in line and "@leaving" not in line]
    assert [line.split(" tcp ")[0] for line in events] == ["ip saddr { 10.0.0.2/31 }"]


def test_those_who_left_reach_what_the_group_does_and_nothing_else() -> None:
    leaving = [line for line in rules(openings(hosts(openPorts=[2222]), "h1")) if "@leaving" in line]
    assert any(" 4222 " in line for line in leaving)
    assert not any(" 2222 " in line for line in leaving)


@pytest.mark.skipif(shutil.which("nft", path="/usr/sbin:/usr/bin") is None, reason="needs nft")
@pytest.mark.parametrize(
    "clients", [["0.0.0.0/0", "::/0"], ["10.0.0.0/8", "10.1.0.1", "fd00::/8"], ["203.0.113.7"]]
)
def test_nft_understands_the_rules(clients: list[str]) -> None:
    written = text(openings(hosts(clients=clients, openPorts=[80, 443]), "h1"))
    checked = subprocess.run(
        ["unshare", "--user", "--map-root-user", "--net", "nft", "--check", "--file", "-"],
        input=written + nftables.leaving({"10.0.0.9"}, 60),
        text=True,
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr


def test_a_reason_cannot_leave_its_comment() -> None:
    opening = Opening(first=1, last=2, sources=[], why=['"; flush ruleset; \\ ünï' * 20])
    [line] = [line for line in rules([opening]) if "dport 1-2" in line]
    comment = line.split("comment ")[1]
    assert comment.count('"') == 2
    assert len(comment) < 128


def test_sshd_is_asked_for_its_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    said = {
        "/usr/sbin/sshd": "port 2022\nlistenaddress 0.0.0.0:2022\nx11displayoffset 10\n",
        "systemctl": "Listen=[::]:2023 (Stream)\nListen=0.0.0.0:2024 (Stream)\n\nListen=\n",
    }

    def run(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 0, said[command[0]], "")

    monkeypatch.setattr(subprocess, "run", run)
    assert firewall.ssh_ports() >= {22, 2022, 2023, 2024}


def test_a_manifest_with_a_wrong_source_is_refused() -> None:
    opening = {"first": 1, "last": 1, "sources": ["; flush ruleset"], "why": []}
    with pytest.raises(BadInputError, match=r"openings\.0\.sources\.0: expected a range of addresses"):
        codec.decode(Firewall, {"openings": [opening]}, "a firewall")
