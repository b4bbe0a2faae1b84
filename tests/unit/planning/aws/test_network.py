"""Interfaces, security groups, addresses and capacity of nodes on AWS, as EC2 accepts them."""

import ipaddress
import re
from collections import Counter
from typing import Any

import pytest
import yaml

from planning import plan
from planning.aws.capacity import ON_DEMAND, Capacity, capacity, own_group
from planning.aws.catalogue import INSTANCE_TYPES
from planning.aws.groups import GROUPS, Rule, groups_of, rules
from planning.aws.interfaces import Interface, efa, interfaces
from planning.aws.network import ENDPOINTS, addresses, network
from planning.aws.userdata import user_data
from planning.values import Node, Plan
from settings import Settings
from settings.aws.target import AwsTarget
from tests.unit.plan_examples import settings

DESCRIPTION = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=;{}!$*]{1,255}")
"""Descriptions of a group or rule that EC2 accepts."""

MODEL = {"name": "someone/model"}
ADMINS, CLIENTS = "198.51.100.7/32", "203.0.113.0/24"
WORKER, HEAD = Node("node-1", 8, head=False), Node("head", 0, head=True)


def target(**given: Any) -> AwsTarget:
    body = {
        "kind": "aws",
        "instanceType": "p5.48xlarge",
        "region": "us-east-1",
        "adminRanges": [ADMINS],
        "clientRanges": [CLIENTS],
    }
    return AwsTarget.model_validate(body | given)


def file(pattern: str = "disagg", *, frontends: int = 1, head: str = "colocated", **given: Any) -> Settings:
    """Return a stack file of a model that is not known, whose engines take all GPUs of a node."""
    of = target(**given)
    gpus = INSTANCE_TYPES[of.instance_type].gpus
    names = ["aggregated"] if pattern == "agg" else ["prefill", "decode"]
    roles: dict[str, Any] = {name: {"parallelism": {"tensor": gpus}} for name in names}
    roles["frontend"] = {"replicas": frontends}
    return settings(pattern, roles, target=of, head=head, model=MODEL)


def planned(pattern: str = "disagg", **given: Any) -> Plan:
    return plan(file(pattern, **given))


CARDS = {
    "p4d.24xlarge": [0, 1, 2, 3],
    "p5.48xlarge": list(range(32)),
    "p5e.48xlarge": list(range(32)),
    "p5en.48xlarge": list(range(16)),
    "p6-b200.48xlarge": list(range(8)),
    "p6-b300.48xlarge": list(range(1, 17)),
    "g6e.48xlarge": [0, 1, 2, 3],
    "g6.48xlarge": [0],
    "g5.48xlarge": [0],
    "g5.4xlarge": [],
}
"""Instance type -> its cards with EFA, from the EC2 guide."""


@pytest.mark.parametrize(("name", "cards"), CARDS.items())
def test_interfaces_are_those_that_the_type_has(name: str, cards: list[int]) -> None:
    found = interfaces(INSTANCE_TYPES[name], efa=efa(target(instanceType=name)))
    assert found[0] == Interface(0, 0, "interface")
    assert [(one.card, one.kind) for one in found[1:]] == [(card, "efa-only") for card in cards]
    assert all(one.device == (1 if one.card == 0 else 0) for one in found[1:])
    assert max(Counter((one.card, one.device) for one in found).values()) == 1
    assert max(one.card for one in found) < INSTANCE_TYPES[name].network_cards


@pytest.mark.parametrize("name", CARDS)
def test_without_efa_there_is_the_primary_interface_alone(name: str) -> None:
    without = efa(target(instanceType=name, efa=False))
    assert interfaces(INSTANCE_TYPES[name], efa=without) == (Interface(0, 0, "interface"),)


EVERY = [
    planned(pattern, instanceType=name, head=head, frontends=frontends, access=access, network=where)
    for pattern in ("agg", "disagg")
    for name in ("p5.48xlarge",)
    for head in ("colocated", "dedicated")
    for frontends in (1, 2)
    if not (pattern == "agg" and frontends == 2 and head == "colocated")
    for access, where in (
        ("proxy", {}),
        ("ssm", {}),
        ("proxy", {"vpcId": "vpc-01234567", "subnetId": "subnet-01234567", "cidr": "10.1.0.0/24"}),
    )
]


EVERY += [planned(instanceType=name) for name in CARDS]


@pytest.mark.parametrize("made", EVERY)
def test_every_rule_is_one_that_ec2_accepts(made: Plan) -> None:
    found = rules(made)
    sides = [(one.group, one.direction, one.peer, one.protocol, one.first, one.last) for one in found]
    assert len(set(sides)) == len(sides), "EC2 refuses a rule that there is already"
    assert len({one.name for one in found}) == len(found)
    assert [one.why for one in found if not DESCRIPTION.fullmatch(one.why)] == []
    assert all(one.of_group or ipaddress.ip_network(one.peer) for one in found)


def test_every_group_has_a_description_that_ec2_accepts() -> None:
    assert [text for text in GROUPS.values() if not DESCRIPTION.fullmatch(text)] == []


@pytest.mark.parametrize("made", EVERY)
def test_only_the_named_ranges_come_in_from_outside_and_only_to_the_head(made: Plan) -> None:
    proxy = made.settings.target.access == "proxy"  # type: ignore[union-attr]
    outside = {
        (one.group, one.first, one.peer)
        for one in rules(made)
        if not one.of_group and one.direction == "ingress"
    }
    assert outside == {("access", 8000, CLIENTS)} | ({("access", 22, ADMINS)} if proxy else set())
    assert [node.name for node in made.nodes if "access" in groups_of(made, node.name)] == [made.head]


@pytest.mark.parametrize("made", EVERY)
def test_efa_finds_its_group_open_to_itself_both_ways(made: Plan) -> None:
    itself = [one for one in rules(made) if one.group == one.peer == "cluster"]
    assert {(one.direction, one.protocol) for one in itself} == {("ingress", "-1"), ("egress", "-1")}
    assert all("cluster" in groups_of(made, node.name) for node in made.nodes if node.gpus)


def ports(found: list[Rule]) -> set[tuple[int | None, int | None]]:
    return {(one.first, one.last) for one in found}


@pytest.mark.parametrize("made", EVERY)
def test_nats_and_etcd_are_open_to_the_cluster_alone(made: Plan) -> None:
    for port in (4222, 2379):
        assert [one.peer for one in rules(made) if one.first == port] == ["cluster"]


@pytest.mark.parametrize("made", [made for made in EVERY if "cluster" not in groups_of(made, made.head)])
def test_a_head_outside_of_the_cluster_reaches_what_its_flows_say(made: Plan) -> None:
    into = ports([one for one in rules(made) if one.group == "cluster" and one.peer == "coordination"])
    wanted = {
        (flow.first, flow.last)
        for flow in made.flows
        if flow.source in ("head", "frontend") and flow.target not in ("head", "frontend")
    }
    assert wanted
    assert wanted <= into
    assert ((8002, 8002) in into) == made.balanced, "the balancer asks the gates of frontends on workers"
    assert ((22, 22) in into) == (made.settings.target.access == "proxy")  # type: ignore[union-attr]


def test_a_head_among_the_workers_needs_no_rule_of_its_own_to_reach_them() -> None:
    assert not [one for one in rules(planned()) if one.peer == "coordination"]


def test_addresses_are_planned_and_stay_when_nodes_come_and_go() -> None:
    few, many = (
        planned("agg", head="dedicated", frontends=1),
        plan(
            settings(
                "agg",
                {"aggregated": {"replicas": 3, "parallelism": {"tensor": 8}}},
                target=target(),
                model=MODEL,
                head="dedicated",
            )
        ),
    )
    assert addresses(target(), few.nodes) == {"head": "10.42.255.250", "node-1": "10.42.0.11"}
    assert list(addresses(target(), many.nodes).values()) == [
        "10.42.255.250",
        "10.42.0.11",
        "10.42.0.12",
        "10.42.0.13",
    ]


def test_in_an_existing_subnet_the_head_has_its_place_among_the_nodes() -> None:
    where = {
        "vpcId": "vpc-01234567",
        "subnetId": "subnet-01234567",
        "cidr": "10.1.0.0/24",
        "firstAddress": 40,
    }
    made = planned("agg", head="dedicated", network=where)
    assert addresses(target(network=where), made.nodes) == {"head": "10.1.0.40", "node-1": "10.1.0.41"}
    found = network(target(network=where))
    assert (found.public, found.gateway, found.direct, found.public_head) == (None, None, (), False)


@pytest.mark.parametrize("cidr", ["10.42.0.0/16", "10.79.0.0/24", "192.168.7.128/25"])
@pytest.mark.parametrize("egress", ["nat", "endpoints"])
def test_the_networks_own_parts_do_not_overlap_and_no_address_is_taken_twice(cidr: str, egress: str) -> None:
    found = network(target(network={"cidr": cidr, "egress": egress}))
    whole, cluster = ipaddress.IPv4Network(found.cidr), ipaddress.IPv4Network(found.cluster)
    public = ipaddress.IPv4Network(found.public or "")
    assert cluster.subnet_of(whole)
    assert public.subnet_of(whole)
    assert not cluster.overlaps(public)
    head = addresses(target(network={"cidr": cidr}), [HEAD])["head"]
    taken = [head, *found.endpoints.values(), *filter(None, [found.gateway])]
    assert len(set(taken)) == len(taken)
    reserved = {public[0], public[1], public[2], public[3], public[-1]}
    assert all(ipaddress.IPv4Address(text) in set(public) - reserved for text in taken)
    assert set(found.endpoints) == (set(ENDPOINTS) if egress == "endpoints" else set())


def test_who_may_come_is_answered_past_the_gateway_unless_they_are_within() -> None:
    found = network(target(clientRanges=[CLIENTS, "10.42.7.0/24"]))
    assert found.direct == (ADMINS, CLIENTS)
    assert found.public_head


def test_a_head_outside_of_the_cluster_takes_no_way_out_from_the_workers() -> None:
    everybody = target(clientRanges=["0.0.0.0/0"], openToTheWorld=True)
    assert network(everybody, colocated=False).direct == ()
    assert network(everybody).direct == (ADMINS,), "a route to everywhere there is already"


def test_nobody_from_outside_means_no_public_address() -> None:
    found = network(target(access="ssm", adminRanges=[], clientRanges=[]))
    assert not found.public_head
    assert found.direct == ()


BOUGHT = [
    ({}, Capacity(None, None, grouped=True), True),
    ({"purchase": "spot"}, Capacity("spot", None, grouped=True), True),
    ({"purchase": "spot", "placementGroup": "theirs"}, Capacity("spot", None, grouped=True), False),
    (
        {"purchase": {"option": "capacity-block", "reservationId": "cr-01234567"}},
        Capacity("capacity-block", "cr-01234567", grouped=False),
        False,
    ),
    (
        {"purchase": {"option": "reservation", "reservationId": "cr-01234567"}},
        Capacity(None, "cr-01234567", grouped=False),
        False,
    ),
    (
        {"purchase": {"option": "reservation", "reservationId": "cr-01234567"}, "placementGroup": "its"},
        Capacity(None, "cr-01234567", grouped=True),
        False,
    ),
]


@pytest.mark.parametrize(("given", "bought", "own"), BOUGHT)
def test_capacity_and_placement_group_are_those_of_the_purchase_option(
    given: dict[str, Any], bought: Capacity, own: bool
) -> None:
    of = target(**given)
    assert capacity(of, WORKER) == bought
    assert own_group(of) == own
    assert capacity(of, HEAD) == ON_DEMAND


def test_user_data_is_one_document_that_ec2_takes() -> None:
    private = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "a" * 400 + "\n-----END OPENSSH PRIVATE KEY-----\n"
    text = user_data(private, "ssh-ed25519 AAAA stack")
    head, _, body = text.partition("\n")
    assert head == "#cloud-config"
    assert len(text) < 16384
    config = yaml.safe_load(body)
    assert config["ssh_keys"] == {"ed25519_private": private, "ed25519_public": "ssh-ed25519 AAAA stack"}
    assert config["ssh_genkeytypes"] == []
    [sshd] = config["write_files"]
    assert sshd["path"].startswith("/etc/ssh/sshd_config.d/")
    assert {"MaxStartups 200:30:400", "MaxSessions 200", "PasswordAuthentication no"} <= set(
        sshd["content"].splitlines()
    )
