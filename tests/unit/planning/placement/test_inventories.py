"""The target `hosts`: how its inventory becomes nodes, and what is wrong with one that cannot."""

from pathlib import Path
from typing import Any

import pytest
import yaml

import planning
from nodectl.services import interface
from settings.loader import read_stack_file
from settings.problems import StackFileError
from tests.unit.plan_examples import places, services, settings

HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGAgEGNedF3RWLspf6t5OrXdXCwd1HeDFeDRTCchXS9r"
GOOD = {"name": "gpu-1", "address": "10.0.0.11"}
OTHER = {"name": "gpu-2", "address": "10.0.0.12"}


def target(**others: Any) -> dict[str, Any]:
    return {"kind": "hosts", "inventory": [GOOD, OTHER], **others}


def entry(**changes: Any) -> dict[str, Any]:
    """Return a target whose second machine is written otherwise; None leaves a key out."""
    changed = {key: value for key, value in (OTHER | changes).items() if value is not None}
    return target(inventory=[GOOD, changed])


WRONG: dict[str, tuple[dict[str, Any], str, str]] = {
    "no inventory": ({"kind": "hosts"}, "target.inventory", "missing"),
    "empty": (target(inventory=[]), "target.inventory", "1 to 2048 entries"),
    "a mapping": (target(inventory={"gpu-1": "10.0.0.11"}), "target.inventory", "expected a list"),
    "a word": (target(inventory="gpu-1"), "target.inventory", "expected a list"),
    "words": (target(inventory=["gpu-1"]), "target.inventory.0", "expected a mapping"),
    "no name": (entry(name=None), "target.inventory.1.name", "missing"),
    "no address": (entry(address=None), "target.inventory.1.address", "missing"),
    "capitals": (entry(name="GPU-2"), "target.inventory.1.name", "a-z"),
    "a command for a name": (entry(name="$(reboot)"), "target.inventory.1.name", "a-z"),
    "quotes": (entry(name="it's"), "target.inventory.1.name", "a-z"),
    "spaces": (entry(name="gpu 2"), "target.inventory.1.name", "a-z"),
    "another alphabet": (entry(name="gpü-2"), "target.inventory.1.name", "a-z"),
    "a line break": (entry(name="gpu\n2"), "target.inventory.1.name", "line break"),
    "a dot": (entry(name="gpu.2"), "target.inventory.1.name", "a-z"),
    "a name as address": (entry(address="gpu-2"), "target.inventory.1.address", "10.0.0.11"),
    "IPv6": (entry(address="fe80::1"), "target.inventory.1.address", "IPv4"),
    "loopback": (entry(address="127.0.0.1"), "target.inventory.1.address", "can reach"),
    "any address": (entry(address="0.0.0.0"), "target.inventory.1.address", "can reach"),
    "an option for a host": (entry(host="-oProxyCommand=reboot"), "target.inventory.1.host", "host name"),
    "a command for a host": (entry(host="a;reboot"), "target.inventory.1.host", "host name"),
    "an option for a user": (entry(user="-l"), "target.inventory.1.user", "name of a user"),
    "a command for a user": (target(user="$(id)"), "target.user", "name of a user"),
    "port 0": (entry(port=0), "target.inventory.1.port", "1 to 65535"),
    "a quoted port": (entry(port="22"), "target.inventory.1.port", "without quotes"),
    "a large port": (target(port=70000), "target.port", "1 to 65535"),
    "a command for a bastion": (target(bastion="a b; reboot"), "target.bastion", "user@host"),
    "a bastion's port": (target(bastion="ops@b:ssh"), "target.bastion", "1 to 65535"),
    "a fingerprint": (entry(hostKey="SHA256:abc"), "target.inventory.1.hostKey", "ssh_host_ed25519_key.pub"),
    "two lines of a key": (entry(hostKey=f"{HOST_KEY}\nx"), "target.inventory.1.hostKey", "line break"),
    "a password": (entry(password="x"), "target.inventory.1.password", "secrets may not stand here"),
    "a key file": (entry(keyFile="~/.ssh/id"), "target.inventory.1.keyFile", "unknown key"),
    "a name twice": (entry(name="gpu-1"), "target.inventory", "gpu-1 twice"),
    "an address twice": (entry(address="10.0.0.11"), "target.inventory", "10.0.0.11 twice"),
    "clients without a firewall": (
        target(firewall={"clients": ["10.0.0.0/8"]}),
        "target.firewall.clients",
        "write `mode: manage`",
    ),
    "open ports without a firewall": (
        target(firewall={"mode": "none", "openPorts": [2222]}),
        "target.firewall.openPorts",
        "write `mode: manage`",
    ),
    "too few machines": (target(inventory=[GOOD]), "target.inventory", "list 2 machines"),
    "another head": (target(), "head.node", "expected 1 to 2"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_inventory_gives_one_error_with_key_and_remedy(name: str, tmp_path: Path) -> None:
    wrong, key, says = WRONG[name]
    config: dict[str, Any] = {
        "dynamo:target": wrong,
        "dynamo:pattern": "agg",
        "dynamo:engine": "mocker",
        "dynamo:model": {"name": "tiny", "source": "generated"},
        "dynamo:roles": {"aggregated": {"replicas": 2}},
    }
    if key == "head.node":
        config["dynamo:head"] = {"node": 3}
    path = tmp_path / "Pulumi.wrong.yaml"
    path.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    with pytest.raises(StackFileError) as caught:
        planning.plan(read_stack_file(path))
    [problem] = caught.value.problems
    assert problem.key == key
    assert says in str(caught.value)


def reached(**keys: Any) -> dict[str, Any]:
    return OTHER | keys


TWICE: dict[str, list[dict[str, Any]]] = {
    "the same host": [GOOD | {"host": "a.example.org"}, reached(host="a.example.org")],
    "in capitals": [GOOD | {"host": "a.example.org"}, reached(host="A.Example.ORG")],
    "with a last dot": [GOOD | {"host": "a.example.org"}, reached(host="a.example.org.")],
    "by its address": [GOOD, reached(host=GOOD["address"])],
    "by its name": [GOOD, reached(host=GOOD["name"])],
    "by its name, in capitals": [GOOD, reached(host="GPU-1.")],
    "IPv6 in full": [GOOD | {"host": "2001:db8::1"}, reached(host="2001:0DB8:0:0::0001")],
    "IPv4 as IPv6": [GOOD, reached(host="::ffff:10.0.0.11")],
    "one with the default port": [GOOD | {"host": "a"}, reached(host="a", port=22)],
    "through the same bastion": [
        GOOD | {"host": "a", "bastion": "ops@b"},
        reached(host="a", bastion="ops@B.:22"),
    ],
    "as another user": [GOOD | {"host": "a", "user": "ops"}, reached(host="a", user="root")],
}
"""Two machines of an inventory that are one."""

NOT_TWICE: dict[str, list[dict[str, Any]]] = {
    "ends of tunnels": [GOOD | {"host": "127.0.0.1", "port": 2201}, reached(host="127.0.0.1", port=2202)],
    "behind different bastions": [
        GOOD | {"host": "192.168.0.5", "bastion": "east"},
        reached(host="192.168.0.5", bastion="west"),
    ],
    "its own name": [GOOD | {"host": "gpu-1"}, reached(host="gpu-2")],
}


def read(target: dict[str, Any], folder: Path) -> None:
    config = {
        "dynamo:target": target,
        "dynamo:pattern": "agg",
        "dynamo:engine": "mocker",
        "dynamo:model": {"name": "tiny", "source": "generated"},
        "dynamo:roles": {"aggregated": {"replicas": 2}},
    }
    path = folder / "Pulumi.wrong.yaml"
    path.write_text(yaml.safe_dump({"config": config}), encoding="utf-8")
    planning.plan(read_stack_file(path))


@pytest.mark.parametrize("name", TWICE)
def test_one_machine_is_listed_once_however_it_is_written(name: str, tmp_path: Path) -> None:
    with pytest.raises(StackFileError, match=r"target.inventory: .*lists the host .* twice, as gpu-1 and as"):
        read(target(inventory=TWICE[name]), tmp_path)


@pytest.mark.parametrize("name", NOT_TWICE)
def test_two_machines_are_not_taken_for_one(name: str, tmp_path: Path) -> None:
    read(target(inventory=NOT_TWICE[name]), tmp_path)


def test_the_ports_of_the_target_count_where_machines_are_compared(tmp_path: Path) -> None:
    read(target(port=2222, inventory=[GOOD | {"host": "a"}, reached(host="a", port=22)]), tmp_path)
    with pytest.raises(StackFileError, match="lists the host a twice"):
        read(target(port=2222, inventory=[GOOD | {"host": "a"}, reached(host="a", port=2222)]), tmp_path)


def hosts(count: int = 3, **others: Any) -> dict[str, Any]:
    listed = [{"name": f"gpu-{n}", "address": f"10.0.0.{n}"} for n in range(1, count + 1)]
    return {"target": {"kind": "hosts", "inventory": listed, **others}, "engine": "mocker"}


def test_nodes_are_the_machines_of_the_inventory_in_its_order() -> None:
    roles = {"prefill": {"replicas": 1}, "decode": {"replicas": 2}}
    assert places(settings("disagg", roles, **hosts())) == {
        "prefill-0": [("gpu-1", (0,))],
        "decode-0": [("gpu-3", (0,))],
        "decode-1": [("gpu-2", (0,))],
    }


def test_an_engine_spans_machines_in_the_order_of_the_inventory() -> None:
    listed = [{"name": name, "address": f"10.0.0.{n}"} for n, name in enumerate(("zeta", "alpha"), 1)]
    target = {"kind": "hosts", "inventory": listed, "gpusPerNode": 8}
    role = {"replicas": 1, "parallelism": {"tensor": 16}}
    file = settings("agg", {"aggregated": role}, target=target, engine="mocker")
    assert [node for node, _ in places(file)["aggregated-0"]] == ["zeta", "alpha"]


def test_a_dedicated_head_is_the_first_machine() -> None:
    file = settings("agg", {"aggregated": {"replicas": 2}}, head="dedicated", **hosts())
    assert {name.split("/")[0] for name in services(file) if "etcd" in name} == {"gpu-1"}
    assert {node for ranks in places(file).values() for node, _ in ranks} == {"gpu-2", "gpu-3"}


def test_gloo_and_nccl_are_told_the_interface_of_the_nodes_address() -> None:
    file = settings("agg", {"aggregated": {"replicas": 1}}, **hosts(1) | {"engine": "vllm"})
    env = services(file)["gpu-1/aggregated-0"].env | {"VLLM_HOST_IP": "127.9.8.7"}
    found = interface.environment(env, spans=True)
    assert (found["GLOO_SOCKET_IFNAME"], found["NCCL_SOCKET_IFNAME"]) == ("lo", "=lo")
    assert "UCX_NET_DEVICES" not in env
