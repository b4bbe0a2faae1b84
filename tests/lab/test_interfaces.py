"""Everything that is told an interface or an address uses the node's own, whatever else the host has.

Network namespaces with interfaces of any names; how Gloo, NCCL and UCX choose is written here as they do.
"""

import ipaddress
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from nodectl.services import interface
from tests.unit.plan_examples import services, settings

pytestmark = pytest.mark.skipif(not shutil.which("ip"), reason="needs iproute2")

NODE: Final = "10.0.0.1"
Addresses = Mapping[str, Sequence[str]]
"""Interface -> its addresses, in order. A name with a colon is a label of the interface before it."""

ASK: Final = """
import json, sys, psutil
from nodectl.services import interface
from nodectl.common.errors import BadInputError
env, spans = json.load(sys.stdin)
known = {n: [a.address for a in found if a.family == 2] for n, found in psutil.net_if_addrs().items()}
try:
    interface.check_here([env["VLLM_HOST_IP"]])
    print(json.dumps([interface.environment(env, spans=spans), known]))
except BadInputError as error:
    print(json.dumps([str(error), known]))
"""


def worker_env(role: str = "prefill") -> dict[str, str]:
    """Return the environment that planning gives a worker of an engine on `NODE`."""
    target = {"kind": "hosts", "inventory": [{"name": f"h{n}", "address": f"10.0.0.{n}"} for n in (1, 2)]}
    roles: dict[str, Any] = {"prefill": {}, "decode": {}} if role == "prefill" else {"aggregated": {}}
    of = settings("disagg" if role == "prefill" else "agg", roles, target=target, engine="vllm")
    [env] = [service.env for name, service in services(of).items() if name.endswith(f"{role}-0")]
    return {**env, "VLLM_HOST_IP": NODE}


class Seen(NamedTuple):
    """Environment of a node's services, and addresses of its interfaces."""

    env: dict[str, str]
    known: dict[str, list[str]]
    refusal: str = ""


def network(addresses: Addresses) -> list[str]:
    """Return the commands that make the interfaces: bridges, whose names tell as much as bonds' would."""
    names = dict.fromkeys(label.partition(":")[0] for label in addresses if label != "lo")
    made = [f"ip link add {name} type bridge && ip link set {name} up" for name in names]
    labels = {label: f"dev {label.partition(':')[0]} label {label}" for label in addresses}
    given = [
        f"ip addr add {address}/24 {labels[label]}" for label, own in addresses.items() for address in own
    ]
    return ["ip link set lo up", *made, *given]


def seen(addresses: Addresses, *, role: str = "prefill", spans: bool = True) -> Seen:
    """Ask nodectl in a network of its own."""
    script = " && ".join([*network(addresses), 'exec "$0" -c "$1"'])
    completed = subprocess.run(
        ["unshare", "--net", "sh", "-c", script, sys.executable, ASK],
        input=json.dumps([worker_env(role), spans]),
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 0, completed.stderr
    answer, known = json.loads(completed.stdout)
    return Seen({}, known, answer) if isinstance(answer, str) else Seen(answer, known)


def gloo(at: Seen) -> str:
    """Return what Gloo binds: the first address of the interface of just that name."""
    return at.known[at.env["GLOO_SOCKET_IFNAME"]][0]


def nccl(at: Seen) -> list[str]:
    """Return the interfaces that NCCL takes: all whose names begin so, or with = are just so."""
    wanted = at.env["NCCL_SOCKET_IFNAME"]
    if wanted.startswith("="):
        return [name for name in at.known if name == wanted[1:]]
    return [name for name in at.known if name.startswith(wanted)]


NETWORKS: Final[dict[str, Addresses]] = {
    "one": {"eth0": [NODE]},
    "a bond and its VLANs": {"bond0.2973": ["10.9.0.1"], "bond0": [NODE], "bond0.12": ["10.8.0.1"]},
    "a VLAN of a bond": {"bond0": ["10.9.0.1"], "bond0.29": [NODE], "bond0.2973": ["10.8.0.1"]},
    "two networks": {"eth0": ["192.168.1.5"], "eth1": [NODE]},
    "an unrelated faster network": {"ib0": ["172.16.0.1"], "eno1": [NODE], "eno12": ["172.17.0.9"]},
    "docker's bridge": {"docker0": ["172.17.0.1"], "br-12ab": ["172.18.0.1"], "eth0": [NODE]},
    "a bridge with the address": {"br0": [NODE], "br0-nic": []},
    "more addresses after it": {"eth0": [NODE, "10.0.0.9"], "eth0:1": ["10.0.0.10"]},
}


@pytest.mark.parametrize("addresses", NETWORKS.values(), ids=NETWORKS)
def test_all_libraries_meet_at_the_nodes_own_address(addresses: Addresses) -> None:
    at = seen(addresses)
    assert at.refusal == ""
    [own] = [name for name, found in addresses.items() if NODE in found]
    assert gloo(at) == NODE
    assert nccl(at) == [own]
    assert at.env["UCX_NET_DEVICES"] == own
    for name in ("DYN_TCP_RPC_HOST", "DYN_EVENT_PLANE_HOST", "VLLM_NIXL_SIDE_CHANNEL_HOST", "VLLM_HOST_IP"):
        assert at.env[name] == NODE


LATER: Final[dict[str, tuple[Addresses, str]]] = {
    "second of its interface": (
        {"eth0": ["10.0.0.7", NODE]},
        "is not the first of its interface eth0, which is 10.0.0.7",
    ),
    "a label": ({"eth0": ["10.0.0.7"], "eth0:1": [NODE]}, "is not the first of its interface eth0"),
    "on lo": ({"eth0": ["10.0.0.7"], "lo": [NODE]}, "lies on the interface lo, whose first is 127.0.0.1"),
}


@pytest.mark.parametrize(("addresses", "says"), LATER.values(), ids=LATER)
@pytest.mark.parametrize(("role", "spans"), [("prefill", False), ("prefill", True), ("aggregated", True)])
def test_an_address_that_others_would_not_use_is_refused(
    addresses: Addresses, says: str, role: str, spans: bool
) -> None:
    assert says in seen(addresses, role=role, spans=spans).refusal


@pytest.mark.parametrize("addresses", [addresses for addresses, _ in LATER.values()], ids=LATER)
def test_an_engine_that_nobody_meets_may_have_any_address_of_the_node(addresses: Addresses) -> None:
    at = seen(addresses, role="aggregated", spans=False)
    assert at.refusal == ""
    assert "UCX_NET_DEVICES" not in at.env


def test_an_address_that_the_node_has_not_is_refused_with_those_that_it_has() -> None:
    output = seen({"eth0": ["10.0.0.7"], "docker0": ["172.17.0.1"]}, role="aggregated", spans=False).refusal
    assert output.startswith(f"no network interface of this node has the address {NODE}; it has ")
    assert "10.0.0.7 (eth0)" in output
    assert "172.17.0.1 (docker0)" in output


CARDS: Final = {
    "an RDMA card": ({"mlx5_0": ("mlx5_core", "4: ACTIVE")}, True),
    "an RDMA card without a link": ({"mlx5_0": ("mlx5_core", "1: DOWN")}, False),
    "EFA, which UCX does not use": ({"rdmap0": ("efa", "4: ACTIVE")}, False),
}


@pytest.mark.parametrize(("cards", "left_out"), CARDS.values(), ids=CARDS)
def test_ucx_is_told_an_interface_only_where_it_has_no_rdma_card(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, cards: dict[str, tuple[str, str]], left_out: bool
) -> None:
    for card, (driver, state) in cards.items():
        port = tmp_path / card / "ports" / "1"
        port.mkdir(parents=True)
        (port / "state").write_text(f"{state}\n")
        (tmp_path / "drivers" / driver).mkdir(parents=True)
        (tmp_path / card / "device").mkdir()
        (tmp_path / card / "device" / "driver").symlink_to(tmp_path / "drivers" / driver)
    monkeypatch.setattr(interface, "_RDMA", tmp_path)
    addresses: dict[str, Any] = {"eth0": [ipaddress.IPv4Address(NODE)]}
    monkeypatch.setattr(interface, "_addresses", lambda: addresses)
    env = interface.environment(worker_env(), spans=False)
    assert ("UCX_NET_DEVICES" not in env) == left_out
