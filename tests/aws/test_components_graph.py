"""Resources that the program registers on AWS: interfaces, groups, templates, instances, and their order."""

import base64
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pulumi
import pytest

from nodectl.contract.runtime import ModelSource
from planning import plan
from planning.aws.catalogue import INSTANCE_TYPES
from planning.values import Plan
from remote.aws_access import private_part, public_part, read_access
from tests.aws.support.recorded import MADE, SIGNATURE, Program, record
from tests.unit.plan_examples import LLAMA, real

TAGS = ("Name", "dynamo-multinode:project", "dynamo-multinode:stack", "dynamo-multinode:state")
UNTAGGED = {"Route", "RouteTableAssociation", "EipAssociation", "RolePolicyAttachment", "RolePolicy"}
"""Types for which EC2 and IAM keep no tags."""

SECRET = "1b47061264138c4ac30d75fd1eb44270"
DESCRIBED = re.compile(r"[a-zA-Z0-9 ._\-:/()#,@\[\]+=&;{}!$*]{1,255}")
"""Descriptions of a group or rule that EC2 accepts."""


def planned(
    *, tensor: int = 8, head: str = "colocated", stack: Mapping[str, Any] | None = None, **others: Any
) -> Plan:
    """Return the plan of prefill and decode on a node each; `others` are keys of the target."""
    target = {
        "kind": "aws",
        "instanceType": "p5.48xlarge",
        "region": "us-east-1",
        "adminRanges": ["203.0.113.7/32"],
        "clientRanges": ["203.0.113.0/24"],
        **others,
    }
    roles = {name: {"parallelism": {"tensor": tensor}} for name in ("prefill", "decode")}
    return plan(real("disagg", roles, target=target, head=head, **(stack or {})))


def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: Plan, *, preview: bool = False) -> Program:
    (tmp_path / "project").mkdir()
    return record(of, tmp_path / "project", monkeypatch, preview=preview)


@pytest.fixture(scope="module")
def disagg(tmp_path_factory: pytest.TempPathFactory) -> Program:
    with pytest.MonkeyPatch.context() as monkeypatch:
        return recorded(tmp_path_factory.mktemp("graph"), monkeypatch, planned())


def templates(program: Program) -> list[dict[str, Any]]:
    return [template.plain for template in program.of("LaunchTemplate")]


def test_every_node_has_a_primary_interface_at_its_planned_address(disagg: Program) -> None:
    interfaces = {found.name: found.plain for found in disagg.of("NetworkInterface")}
    assert {name: found["privateIps"] for name, found in interfaces.items()} == {
        "node-1": ["10.42.0.11"],
        "node-2": ["10.42.0.12"],
    }
    assert len(interfaces["node-1"]["securityGroups"]) == 3
    assert interfaces["node-2"]["securityGroups"] == ["securitygroup-cluster"]


def test_a_template_has_the_primary_interface_first_and_one_efa_interface_a_card(disagg: Program) -> None:
    cards = INSTANCE_TYPES["p5.48xlarge"].efa_cards
    for found in disagg.of("LaunchTemplate"):
        primary, *interfaces = found.plain["networkInterfaces"]
        assert primary == {
            "networkInterfaceId": f"networkinterface-{found.name}",
            "deviceIndex": 0,
            "networkCardIndex": 0,
            "deleteOnTermination": "false",
        }
        assert [(interface["networkCardIndex"], interface["deviceIndex"]) for interface in interfaces] == [
            (card, 0 if card else 1) for card in cards
        ]
        assert {interface["interfaceType"] for interface in interfaces} == {"efa-only"}
        assert all(interface["securityGroups"] == ["securitygroup-cluster"] for interface in interfaces)
        assert {interface["deleteOnTermination"] for interface in interfaces} == {"true"}


EFA = {
    "p4d.24xlarge": [(0, 1), (1, 0), (2, 0), (3, 0)],
    "p5.48xlarge": [(0, 1), *((card, 0) for card in range(1, 32))],
    "p5e.48xlarge": [(0, 1), *((card, 0) for card in range(1, 32))],
    "p5en.48xlarge": [(0, 1), *((card, 0) for card in range(1, 16))],
    "p6-b200.48xlarge": [(0, 1), *((card, 0) for card in range(1, 8))],
    "g6e.48xlarge": [(0, 1), (1, 0), (2, 0), (3, 0)],
    "g6.48xlarge": [(0, 1)],
    "g5.48xlarge": [(0, 1)],
}
"""Card and device of every EFA interface."""


@pytest.mark.parametrize("name", EFA)
def test_the_efa_interfaces_of_a_type_are_on_its_cards(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulated = {"engine": "mocker", "model": {"name": "tiny", "source": "generated"}}
    program = recorded(tmp_path, monkeypatch, planned(tensor=4, stack=simulated, instanceType=name))
    found = templates(program)
    assert found
    for template in found:
        assert template["instanceType"] == name
        _, *interfaces = template["networkInterfaces"]
        cards = [(interface["networkCardIndex"], interface["deviceIndex"]) for interface in interfaces]
        assert cards == EFA[name]
        assert all(interface["securityGroups"] == ["securitygroup-cluster"] for interface in interfaces)


def test_only_the_head_and_the_way_out_have_public_addresses(disagg: Program) -> None:
    assert {found.name for found in disagg.of("Eip")} == {"head", "nat"}
    [association] = disagg.of("EipAssociation")
    assert association.plain == {
        "allocationId": "eip-head",
        "networkInterfaceId": "networkinterface-node-1",
    }
    whole = str([found.inputs for found in disagg.resources])
    assert "associatePublicIpAddress" not in whole
    assert [found.plain["mapPublicIpOnLaunch"] for found in disagg.of("Subnet")] == [False, False]


def test_metadata_needs_a_token_and_answers_containers_too(disagg: Program) -> None:
    for template in templates(disagg):
        assert template["metadataOptions"] == {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 2,
        }


def test_the_root_volume_is_an_encrypted_gp3_with_the_key_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = {"sizeGib": 300, "iops": 7000, "throughput": 600}
    program = recorded(tmp_path, monkeypatch, planned(volume=volume, kmsKeyId="alias/mine"))
    for template in templates(program):
        [mapping] = template["blockDeviceMappings"]
        assert mapping["deviceName"] == "/dev/sda1"
        assert mapping["ebs"] == {
            "volumeType": "gp3",
            "volumeSize": 300,
            "iops": 7000,
            "throughput": 600,
            "encrypted": "true",
            "deleteOnTermination": "true",
            "kmsKeyId": "alias/mine",
        }


def test_everything_that_can_be_is_tagged_with_its_owner_and_the_users_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = recorded(tmp_path, monkeypatch, planned(tags={"team": "serving"}))
    created = [found for found in program.resources if found.kind.startswith("aws:")]
    tagged = [found for found in created if found.kind.rpartition(":")[2] not in UNTAGGED]
    assert len(tagged) > 20
    for found in tagged:
        assert set(found.plain["tags"]) >= {*TAGS, "team"}, found.urn
    assert {found.plain["volumeTags"]["team"] for found in program.of("Instance")} == {"serving"}
    for template in templates(program):
        [specification] = template["tagSpecifications"]
        assert specification["resourceType"] == "network-interface"
        assert set(specification["tags"]) >= {*TAGS, "team"}


def test_an_instance_is_all_but_its_place_in_its_template_and_goes_before_its_successor_comes(
    disagg: Program,
) -> None:
    instances = disagg.of("Instance")
    assert {found.name for found in instances} == {"node-1", "node-2"}
    for found in instances:
        assert set(found.plain) == {"launchTemplate", "placementGroup", "tags", "volumeTags"}
        assert list(found.request.ignoreChanges) == ["launchTemplate.version", "placementGroup"]
        assert found.plain["launchTemplate"]["id"] == f"launchtemplate-{found.name}"
        assert found.request.deleteBeforeReplace
        assert found.request.customTimeouts.create == "15m"


def trigger(program: Program, node: str) -> str:
    """Return what replaces the instance of a node when it changes."""
    value = program.named("Instance", node).request.replacement_trigger
    assert value.string_value, "a text, and no secret"
    return str(value.string_value)


def test_an_instance_is_replaced_by_what_it_is_launched_with_and_by_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disagg: Program
) -> None:
    changes: dict[str, tuple[dict[str, Any], bool]] = {
        "volume": ({"volume": {"sizeGib": 300}}, True),
        "type": ({"instanceType": "p5en.48xlarge"}, True),
        "market": ({"purchase": "spot"}, True),
        "image": ({"ami": "ami-00000000000000000"}, True),
        "tags": ({"tags": {"team": "serving"}}, False),
        "ranges": ({"clientRanges": ["198.51.100.0/24"]}, False),
        "deadline": ({"lifetime": {"maxMinutes": 60}}, False),
        "end of idle machines": ({"lifetime": {"idleMinutes": 60}}, False),
    }
    for name, (change, replaces) in changes.items():
        (tmp_path / name).mkdir()
        changed = record(planned(**change), tmp_path / name, monkeypatch)
        assert (trigger(changed, "node-2") != trigger(disagg, "node-2")) == replaces, name


def test_an_instance_boots_when_its_ways_its_rules_and_its_public_address_are_there(disagg: Program) -> None:
    def waits_for(node: str) -> set[str]:
        urns = disagg.named("Instance", node).request.dependencies
        return {urn.rpartition("::")[0].rpartition(":")[2] + " " + urn.rpartition("::")[2] for urn in urns}

    kinds = ("Route", "RouteTableAssociation", "SecurityGroupIngressRule", "SecurityGroupEgressRule")
    needed = {f"{kind} {found.name}" for kind in kinds for found in disagg.of(kind)}
    assert len(needed) > 10
    assert waits_for("node-1") >= needed | {"EipAssociation head"}
    assert waits_for("node-2") >= needed
    assert "EipAssociation head" not in waits_for("node-2")


def test_groups_have_no_rules_inside_and_descriptions_that_ec2_takes(disagg: Program) -> None:
    groups = disagg.of("SecurityGroup")
    assert {found.name for found in groups} == {"coordination", "cluster", "access"}
    assert not [found for found in groups if {"ingress", "egress"} & set(found.plain)]
    rules = [*disagg.of("SecurityGroupIngressRule"), *disagg.of("SecurityGroupEgressRule")]
    for found in [*groups, *rules]:
        assert DESCRIBED.fullmatch(found.plain["description"]), found.plain["description"]
    inside = {found.name: found.plain for found in rules if found.name.endswith("all-cluster")}
    assert {rule["referencedSecurityGroupId"] for rule in inside.values()} == {"securitygroup-cluster"}
    assert {rule["securityGroupId"] for rule in inside.values()} == {"securitygroup-cluster"}
    assert set(inside) == {"cluster-ingress-all-cluster", "cluster-egress-all-cluster"}


def test_keys_are_secret_wherever_they_go(disagg: Program) -> None:
    for found in disagg.of("LaunchTemplate"):
        assert found.inputs["userData"][SIGNATURE] == SECRET
        assert "private" in base64.b64decode(found.plain["userData"]).decode()
    for found in disagg.of("Command"):
        if found.name != "image":
            assert list(found.request.additionalSecretOutputs) == ["stdout"]
            assert found.plain["logging"] == "none"
    private = [line for line in MADE.splitlines() if "private" in line]
    assert private
    others = [found for found in disagg.resources if found.kind.rpartition(":")[2] != "LaunchTemplate"]
    assert " private" not in str([found.inputs for found in others])


def test_keys_and_the_image_stay_whatever_a_newer_program_or_aws_says(disagg: Program) -> None:
    ignored = {found.name: list(found.request.ignoreChanges) for found in disagg.of("Command")}
    assert ignored == {
        "host-key": ["create", "logging"],
        "login-key": ["create", "logging"],
        "image": ["stdin"],
    }
    image = disagg.named("Command", "image").plain
    assert image["triggers"] == ["1", "us-east-1"]
    assert {template["imageId"] for template in templates(disagg)} == {image["stdin"]}


def test_the_folder_says_how_nodes_are_reached_before_a_node_has_its_identity(disagg: Program) -> None:
    assert disagg.nodes == {"node-1": "instance-node-1", "node-2": "instance-node-2"}
    folder = disagg.folder / ".run/disagg/access"
    route = read_access(folder)
    assert route is not None
    assert route.bastion == "ubuntu@198.51.100.4"
    assert route.head == "node-1"
    assert route.instances == disagg.nodes
    assert {path.name: oct(path.stat().st_mode)[-3:] for path in folder.iterdir()} == {
        "key": "600",
        "known_hosts": "600",
        "route.json": "600",
    }
    assert oct(folder.stat().st_mode)[-3:] == "700"


def test_a_node_waits_for_the_head_and_depends_on_its_own_instance_alone(disagg: Program) -> None:
    assert disagg.depends == {
        "node-1": {"Instance node-1"},
        "node-2": {"Instance node-2"},
    }


def test_a_preview_writes_nothing_and_a_node_is_then_its_own_instance(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = recorded(tmp_path, monkeypatch, planned(), preview=True)
    assert program.nodes == {"node-1": "instance-node-1", "node-2": "instance-node-2"}
    assert list(program.folder.iterdir()) == []


def test_spot_instances_are_asked_for_once_and_end_when_they_are_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = recorded(tmp_path, monkeypatch, planned(purchase="spot", instanceType="g6e.48xlarge"))
    for template in templates(program):
        assert template["instanceMarketOptions"] == {
            "marketType": "spot",
            "spotOptions": {"spotInstanceType": "one-time", "instanceInterruptionBehavior": "terminate"},
        }
        assert template["placement"] == {"groupName": "disagg-1a2b3c4"}


ENDS = "2026-12-01T11:30:00Z"
BLOCK = {"option": "capacity-block", "reservationId": "cr-0123456789abcdef0"}


@pytest.mark.parametrize("end", [ENDS, None])
def test_the_end_of_a_capacity_block_is_remembered_where_the_account_does_not_say_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str | None
) -> None:
    plan = planned(head="dedicated", purchase=BLOCK, zone="us-east-1a")
    program = record(plan, tmp_path, monkeypatch, ends=end)
    [kept] = [found for found in program.of("Command") if found.name == "capacity-end"]
    assert kept.plain["stdin"] == (end or "")
    assert kept.plain["triggers"] == [BLOCK["reservationId"]]
    assert list(kept.request.ignoreChanges) == ([] if end else ["stdin"])
    assert program.ends["head"] is None, "it is bought on demand"
    for node in ("node-1", "node-2"):
        assert (program.ends[node] == end) if end else isinstance(program.ends[node], pulumi.Output)


def test_what_is_in_no_capacity_block_has_no_end(disagg: Program) -> None:
    assert set(disagg.ends.values()) == {None}
    assert "capacity-end" not in {found.name for found in disagg.of("Command")}


def test_a_capacity_block_is_targeted_and_has_no_placement_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought = {"option": "capacity-block", "reservationId": "cr-0123456789abcdef0"}
    program = recorded(tmp_path, monkeypatch, planned(purchase=bought, zone="us-east-1b"))
    assert program.of("PlacementGroup") == []
    for template in templates(program):
        assert template["instanceMarketOptions"] == {"marketType": "capacity-block"}
        assert template["capacityReservationSpecification"] == {
            "capacityReservationTarget": {"capacityReservationId": "cr-0123456789abcdef0"}
        }
        assert "placement" not in template


def test_a_reservation_is_launched_in_the_group_that_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bought = {"option": "reservation", "reservationId": "cr-0123456789abcdef0"}
    program = recorded(
        tmp_path, monkeypatch, planned(purchase=bought, placementGroup="theirs", zone="us-east-1b")
    )
    assert program.of("PlacementGroup") == []
    assert [template["placement"] for template in templates(program)] == [{"groupName": "theirs"}] * 2
    assert not [template for template in templates(program) if "instanceMarketOptions" in template]


def test_a_dedicated_head_is_on_demand_in_the_public_subnet_outside_of_the_placement_group(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = recorded(tmp_path, monkeypatch, planned(head="dedicated", purchase="spot"))
    head = program.named("LaunchTemplate", "head").plain
    assert head["instanceType"] == "m7i.2xlarge"
    assert len(head["networkInterfaces"]) == 1
    assert not {"placement", "instanceMarketOptions"} & set(head)
    assert program.named("NetworkInterface", "head").plain["subnetId"] == "subnet-public"
    assert program.named("NetworkInterface", "node-1").plain["subnetId"] == "subnet-cluster"
    assert {found.name for found in program.of("Eip")} == {"head", "nat"}


def test_an_existing_network_gets_groups_and_interfaces_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"vpcId": "vpc-0123456789abcdef0", "subnetId": "subnet-0123456789abcdef0", "cidr": "10.9.0.0/24"}
    program = recorded(tmp_path, monkeypatch, planned(network=given))
    for kind in ("Vpc", "Subnet", "InternetGateway", "NatGateway", "RouteTable", "Route", "Eip"):
        assert program.of(kind) == [], kind
    assert {found.plain["subnetId"] for found in program.of("NetworkInterface")} == {given["subnetId"]}
    assert {found.plain["vpcId"] for found in program.of("SecurityGroup")} == {given["vpcId"]}
    route = read_access(program.folder / ".run/disagg/access")
    assert route is not None
    assert route.bastion is None


def test_session_manager_takes_the_place_of_ssh_from_outside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = recorded(tmp_path, monkeypatch, planned(access="ssm"))
    [attached] = program.of("RolePolicyAttachment")
    assert attached.plain["policyArn"] == "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
    opened = [found.plain for found in program.of("SecurityGroupIngressRule")]
    assert not [rule for rule in opened if rule.get("fromPort") == 22]
    route = read_access(program.folder / ".run/disagg/access")
    assert route is not None
    assert (route.ssm, route.bastion) == (True, None)


def test_endpoints_take_the_place_of_a_way_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden = {
        "model": {"name": LLAMA, "source": "path", "path": "/models/llama"},
        "runtime": {
            "kind": "preinstalled",
            "path": "/opt/dynamo",
            "wheels": "/srv/wheels",
            "stores": {"source": "bundled"},
        },
    }
    of = planned(access="ssm", network={"egress": "endpoints"}, stack=golden)
    program = recorded(tmp_path, monkeypatch, of)
    assert program.of("NatGateway") == []
    endpoints = {found.name: found.plain for found in program.of("VpcEndpoint")}
    assert endpoints.pop("s3")["routeTableIds"] == ["routetable-public", "routetable-cluster"]
    assert set(endpoints) == {"ssm", "ssmmessages", "ec2messages", "ec2"}
    for name, found in endpoints.items():
        assert found["serviceName"] == f"com.amazonaws.us-east-1.{name}"
        assert found["securityGroupIds"] == ["securitygroup-cluster"]
        assert found["privateDnsEnabled"] is True
        assert found["subnetConfigurations"][0]["subnetId"] == "subnet-public"


def test_s3_goes_past_the_nat_gateway_in_a_network_of_the_stacks_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = recorded(tmp_path, monkeypatch, planned())
    assert len(program.of("NatGateway")) == 1
    [gateway] = [found.plain for found in program.of("VpcEndpoint")]
    assert (gateway["vpcEndpointType"], gateway["serviceName"]) == ("Gateway", "com.amazonaws.us-east-1.s3")
    assert gateway["routeTableIds"] == ["routetable-public", "routetable-cluster"]


def test_in_an_existing_network_no_endpoint_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    network = {"vpcId": "vpc-01234567", "subnetId": "subnet-01234567", "cidr": "10.1.0.0/24"}
    assert recorded(tmp_path, monkeypatch, planned(network=network)).of("VpcEndpoint") == []


def test_a_model_on_s3_may_be_read_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    of = planned(region="us-gov-west-1")
    model = ModelSource(kind="path", name="s3://models/llama/70b")
    of = replace(of, runtime=replace(of.runtime, model=model))
    [written] = recorded(tmp_path, monkeypatch, of).of("RolePolicy")
    listing, reading, decrypting = json.loads(written.plain["policy"])["Statement"]
    assert (listing["Action"], listing["Resource"]) == ("s3:ListBucket", "arn:aws-us-gov:s3:::models")
    assert listing["Condition"] == {"StringLike": {"s3:prefix": ["llama/70b", "llama/70b/*"]}}
    assert (reading["Action"], reading["Resource"]) == (
        "s3:GetObject",
        "arn:aws-us-gov:s3:::models/llama/70b/*",
    )
    assert (decrypting["Action"], decrypting["Resource"]) == ("kms:Decrypt", "arn:aws-us-gov:kms:*:*:key/*")
    context = decrypting["Condition"]["StringLike"]["kms:EncryptionContext:aws:s3:arn"]
    assert context == ["arn:aws-us-gov:s3:::models", "arn:aws-us-gov:s3:::models/llama/70b/*"]


def test_what_is_given_is_not_created(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given: dict[str, Any] = {"keyPair": "mine", "instanceProfile": "ours", "ami": "ami-00000000000000000"}
    program = recorded(tmp_path, monkeypatch, planned(**given))
    for kind in ("KeyPair", "Role", "InstanceProfile"):
        assert program.of(kind) == []
    assert {found.name for found in program.of("Command")} == {"host-key"}
    for template in templates(program):
        assert template["keyName"] == "mine"
        assert template["iamInstanceProfile"] == {"name": "ours"}
        assert template["imageId"] == "ami-00000000000000000"
        assert template["blockDeviceMappings"][0]["deviceName"] == "/dev/xvda", "as EC2 says of that image"
    assert not (program.folder / ".run/disagg/access/key").exists()


def test_a_pair_comes_apart_as_it_was_made() -> None:
    made = MADE.format("x")
    assert private_part(made).endswith("-----END OPENSSH PRIVATE KEY-----\n")
    assert public_part(made) == "ssh-ed25519 x"
