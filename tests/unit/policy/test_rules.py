"""The policy pack's rules: each planted violation is refused by name with a remedy, what is right passes."""

import base64
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pulumi_policy.proxy import UNKNOWN_STRING_VALUE, unknown_checking_proxy

from planning.aws.state import PROJECT_TAG, ROLE_TAG, STACK_TAG, STATE_TAG
from policy import openings, tags
from policy.machines import PUBLIC_ROLES
from policy.pack import plain, policy
from policy.resource import UNKNOWN, Resource
from policy.rules import RULES
from settings.ports import PortSettings

TAGS = dict.fromkeys(tags.REQUIRED, "x")
RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
GROUP = "aws:ec2/securityGroup:SecurityGroup"
OLDER = "aws:ec2/securityGroupRule:SecurityGroupRule"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
INSTANCE = "aws:ec2/instance:Instance"
INTERFACE = "aws:ec2/networkInterface:NetworkInterface"
EIP = "aws:ec2/eip:Eip"
ASSOCIATION = "aws:ec2/eipAssociation:EipAssociation"
ROLE = "aws:iam/role:Role"
ROLE_POLICY = "aws:iam/rolePolicy:RolePolicy"

RIGHT_PROPS: Mapping[str, Mapping[str, Any]] = {
    TEMPLATE: {
        "metadataOptions": {
            "httpEndpoint": "enabled",
            "httpTokens": "required",
            "httpPutResponseHopLimit": 2,
        },
        "blockDeviceMappings": [{"deviceName": "/dev/sda1", "ebs": {"encrypted": "true", "volumeSize": 200}}],
        "networkInterfaces": [{"networkInterfaceId": "eni-1", "deviceIndex": 0}],
        "userData": base64.b64encode(b"#cloud-config\nssh_deletekeys: true\n").decode(),
    },
    INSTANCE: {
        "metadataOptions": {"httpTokens": "required"},
        "rootBlockDevice": {"encrypted": True},
    },
}


def made(kind: str, **props: Any) -> Resource:
    """Return a resource that is right but for `props`; None takes a property away."""
    right: dict[str, Any] = {"tags": TAGS} if kind in tags.TAGGED else {}
    right |= RIGHT_PROPS.get(kind, {})
    return Resource(kind, "thing", {k: v for k, v in (right | props).items() if v is not None})


def standalone(port: int | None, **source: Any) -> Resource:
    protocol = "-1" if port is None else "tcp"
    return made(RULE, securityGroupId="sg-1", ipProtocol=protocol, fromPort=port, toPort=port, **source)


def inline(port: int, **source: Any) -> Resource:
    rule = {"protocol": "tcp", "fromPort": port, "toPort": port, **source}
    return made(GROUP, ingress=[{"protocol": "tcp", "fromPort": 1, "toPort": 1, "self": True}, rule])


def older(port: int, **source: Any) -> Resource:
    return made(OLDER, type="ingress", protocol="tcp", fromPort=port, toPort=port, **source)


def document(**statement: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", **statement}]})


def user_data(text: str) -> Resource:
    return made(TEMPLATE, userData=base64.b64encode(text.encode()).decode())


def associated(kind: str, **machine: str) -> Resource:
    target = Resource(kind, "node-2", {"tags": {**TAGS, **machine}})
    return Resource(ASSOCIATION, "thing", {}, {"networkInterfaceId": [target]})


def found(resource: Resource) -> dict[str, list[str]]:
    """Return what each rule says of a resource, without the rules that have nothing to say."""
    violations = {rule.name: rule.violations(resource) for rule in RULES}
    return {name: texts for name, texts in violations.items() if texts}


WORLD = "0.0.0.0/0"
DISK = "/dev/sda1"
VIOLATIONS: Mapping[str, tuple[str, Resource, str]] = {
    "SSH from everywhere": ("no-open-ssh", standalone(22, cidrIpv4=WORLD), "adminRanges"),
    "SSH from everywhere by IPv6": ("no-open-ssh", standalone(22, cidrIpv6="::/0"), "adminRanges"),
    "SSH from half the world": ("no-open-ssh", standalone(22, cidrIpv4="128.0.0.0/1"), "adminRanges"),
    "SSH within a span of ports": (
        "no-open-ssh",
        made(RULE, ipProtocol="6", fromPort=20, toPort=30, cidrIpv4=WORLD),
        "adminRanges",
    ),
    "SSH from everywhere, inside of a group": ("no-open-ssh", inline(22, cidrBlocks=[WORLD]), "adminRanges"),
    "SSH from everywhere, as older programs do": (
        "no-open-ssh",
        older(22, ipv6CidrBlocks=["::/0"]),
        "adminRanges",
    ),
    "etcd from everywhere": ("no-open-coordination", standalone(2379, cidrIpv4=WORLD), "security group"),
    "etcd's peers from outside": (
        "no-open-coordination",
        standalone(2380, cidrIpv4="203.0.113.0/24"),
        "security group",
    ),
    "NATS from everywhere, inside of a group": (
        "no-open-coordination",
        inline(4222, cidrBlocks=["10.42.0.0/16", WORLD]),
        "security group",
    ),
    "NATS from one address outside": (
        "no-open-coordination",
        older(4222, cidrBlocks=["203.0.113.7/32"]),
        "security group",
    ),
    "all protocols from a private range": (
        "no-open-ports",
        standalone(None, cidrIpv4="10.42.0.0/16"),
        "name the ports",
    ),
    "all protocols from another group": (
        "no-open-ports",
        standalone(None, referencedSecurityGroupId="sg-2"),
        "name the ports",
    ),
    "all ports of UDP from a prefix list": (
        "no-open-ports",
        made(RULE, ipProtocol="udp", fromPort=0, toPort=65535, prefixListId="pl-1"),
        "name the ports",
    ),
    "IMDSv1 in a launch template": (
        "imds-v2",
        made(TEMPLATE, metadataOptions={"httpTokens": "optional"}),
        "required",
    ),
    "nothing said about IMDS": ("imds-v2", made(TEMPLATE, metadataOptions=None), "required"),
    "IMDSv1 at an instance of its own": ("imds-v2", made(INSTANCE, metadataOptions=None), "required"),
    "metadata for everybody behind the host": (
        "imds-v2",
        made(TEMPLATE, metadataOptions={"httpTokens": "required", "httpPutResponseHopLimit": 64}),
        "httpPutResponseHopLimit",
    ),
    "a root volume in clear": (
        "encrypted-volumes",
        made(TEMPLATE, blockDeviceMappings=[{"deviceName": DISK, "ebs": {"encrypted": "false"}}]),
        "encrypted: true",
    ),
    "a root volume as the image has it": (
        "encrypted-volumes",
        made(TEMPLATE, blockDeviceMappings=None),
        "encrypted: true",
    ),
    "an instance's volume in clear": (
        "encrypted-volumes",
        made(INSTANCE, ebsBlockDevices=[{"deviceName": "/dev/sdb"}]),
        "encrypted: true",
    ),
    "an instance's root volume as the image has it": (
        "encrypted-volumes",
        made(INSTANCE, rootBlockDevice=None),
        "encrypted: true",
    ),
    "a volume in clear": (
        "encrypted-volumes",
        made("aws:ebs/volume:Volume", encrypted=False),
        "encrypted: true",
    ),
    "no tags": ("tags", made("aws:ec2/vpc:Vpc", tags=None), STATE_TAG),
    "an empty tag": ("tags", made(GROUP, tags={**TAGS, STATE_TAG: ""}), STATE_TAG),
    "a subnet with public addresses": (
        "no-automatic-public-address",
        made("aws:ec2/subnet:Subnet", mapPublicIpOnLaunch=True),
        "remove",
    ),
    "a launch template with a public address": (
        "no-automatic-public-address",
        made(TEMPLATE, networkInterfaces=[{"associatePublicIpAddress": "true"}]),
        "publicHead",
    ),
    "an instance with a public address": (
        "no-automatic-public-address",
        made(INSTANCE, associatePublicIpAddress=True),
        "publicHead",
    ),
    "an Elastic IP for a worker": (
        "elastic-addresses",
        made(EIP, tags={**TAGS, ROLE_TAG: "worker"}),
        "head or nat",
    ),
    "an Elastic IP for nobody known": ("elastic-addresses", made(EIP), "head or nat"),
    "an Elastic IP at a worker": (
        "no-public-worker",
        associated(INTERFACE, **{ROLE_TAG: "worker"}),
        "reach workers through it",
    ),
    "an Elastic IP at an instance that does not say what it is": (
        "no-public-worker",
        associated(INSTANCE),
        "reach workers through it",
    ),
    "a key in user data": (
        "no-credentials-in-user-data",
        user_data("export AWS_ACCESS_KEY_ID=AKIAIOSFODNN7EXAMPLE"),
        "revoke",
    ),
    "a token in user data": ("no-credentials-in-user-data", user_data(f"HF_TOKEN=hf_{'a' * 34}"), "revoke"),
    "a secret in an instance's user data": (
        "no-credentials-in-user-data",
        made(INSTANCE, userData="aws_secret_access_key = x"),
        "revoke",
    ),
    "everything allowed": (
        "narrow-roles",
        made(ROLE_POLICY, policy=document(Action="*", Resource="*")),
        "name the actions",
    ),
    "all of a service allowed": (
        "narrow-roles",
        made(ROLE_POLICY, policy=document(Action=["s3:GetObject", "ec2:*"], Resource=["*"])),
        "name the actions",
    ),
    "all but something allowed": (
        "narrow-roles",
        made("aws:iam/policy:Policy", policy=document(NotAction="iam:*", Resource="*")),
        "name those that are needed",
    ),
    "everything allowed inside of a role": (
        "narrow-roles",
        made(ROLE, inlinePolicies=[{"name": "x", "policy": document(Action="*", Resource="arn:aws:s3:::b")}]),
        "name the actions",
    ),
    "an administrator": (
        "narrow-roles",
        made(
            "aws:iam/rolePolicyAttachment:RolePolicyAttachment",
            policyArn="arn:aws:iam::aws:policy/AdministratorAccess",
        ),
        "name",
    ),
    "a role for everybody": (
        "roles-of-machines",
        made(ROLE, assumeRolePolicy=document(Action="sts:AssumeRole", Principal={"AWS": "*"})),
        "ec2.amazonaws.com",
    ),
}


@pytest.mark.parametrize("planted", VIOLATIONS)
def test_a_planted_violation_is_refused_by_its_rule_alone(planted: str) -> None:
    rule, resource, remedy = VIOLATIONS[planted]
    violations = found(resource)
    assert list(violations) == [rule]
    (text,) = violations[rule]
    assert text.startswith("thing: ")
    assert remedy in text


def test_every_rule_refuses_something() -> None:
    assert {rule for rule, _, _ in VIOLATIONS.values()} == {rule.name for rule in RULES}


RIGHT: Mapping[str, Resource] = {
    "SSH from named ranges": standalone(22, cidrIpv4="203.0.113.7/32"),
    "SSH from the office's IPv6 range": standalone(22, cidrIpv6="2001:db8::/32"),
    "SSH from the head's group": standalone(22, referencedSecurityGroupId="sg-2"),
    "the endpoint for everybody, as `openToTheWorld` allows": standalone(8000, cidrIpv4=WORLD),
    "etcd from the cluster's group": standalone(2379, referencedSecurityGroupId="sg-2"),
    "NATS from the VPC": inline(4222, cidrBlocks=["10.42.0.0/16"]),
    "UDP on etcd's number": made(RULE, ipProtocol="udp", fromPort=2379, toPort=2379, cidrIpv4=WORLD),
    "everything from the group itself": standalone(None, referencedSecurityGroupId="sg-1"),
    "everything from the group itself, inline": made(
        GROUP, ingress=[{"protocol": "-1", "fromPort": 0, "toPort": 0, "self": True}]
    ),
    "everything out": made(
        GROUP, egress=[{"protocol": "-1", "fromPort": 0, "toPort": 0, "cidrBlocks": [WORLD]}]
    ),
    "everything out, as older programs do": made(
        OLDER, type="egress", protocol="-1", fromPort=0, toPort=0, cidrBlocks=[WORLD]
    ),
    "a launch template": made(TEMPLATE),
    "a launch template without metadata at all": made(TEMPLATE, metadataOptions={"httpEndpoint": "disabled"}),
    "a launch template with the stack's host key": user_data("-----BEGIN OPENSSH PRIVATE KEY-----\nabc"),
    "an instance by itself": made(INSTANCE),
    "an instance of a launch template": Resource(
        INSTANCE, "node-1", {"tags": TAGS, "launchTemplate": {"id": "lt-1", "version": "1"}}
    ),
    "the head's Elastic IP": made(EIP, tags={**TAGS, ROLE_TAG: "head"}),
    "the gateway's Elastic IP": made(EIP, tags={**TAGS, ROLE_TAG: "nat"}),
    "the head's Elastic IP at the head": associated(INTERFACE, **{ROLE_TAG: "head"}),
    "default tags of the provider": made("aws:ec2/vpc:Vpc", tags=None, tagsAll=TAGS),
    "a policy that names what it allows": made(
        ROLE_POLICY, policy=document(Action=["s3:GetObject", "s3:List*"], Resource="arn:aws:s3:::b/*")
    ),
    "a denial of everything": made(
        ROLE_POLICY, policy=json.dumps({"Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}})
    ),
    "a role of EC2's": made(
        ROLE, assumeRolePolicy=document(Action="sts:AssumeRole", Principal={"Service": "ec2.amazonaws.com"})
    ),
    "what has no tags": made("aws:ec2/route:Route", destinationCidrBlock=WORLD),
    "what is not of AWS": Resource("command:local:Command", "proof", {"create": "AKIAIOSFODNN7EXAMPLE"}),
}


@pytest.mark.parametrize("what", RIGHT)
def test_what_is_right_passes(what: str) -> None:
    assert found(RIGHT[what]) == {}


@pytest.mark.parametrize("planted", VIOLATIONS)
def test_what_a_preview_does_not_know_yet_is_judged_later(planted: str) -> None:
    _, resource, _ = VIOLATIONS[planted]
    keys = {key for _, other, _ in VIOLATIONS.values() for key in other.props if other.kind == resource.kind}
    hidden = dict.fromkeys(keys | {"tags"}, UNKNOWN) | {"type": resource.props.get("type")}
    assert found(Resource(resource.kind, "thing", hidden)) == {}


@pytest.mark.parametrize("kind", sorted({resource.kind for _, resource, _ in VIOLATIONS.values()}))
@pytest.mark.parametrize("value", [None, "", "x", 7, [], [None], {}, {"Statement": "x"}, [{"ebs": 1}]])
def test_no_value_makes_a_rule_fail_instead_of_judging(kind: str, value: object) -> None:
    keys = {key for _, resource, _ in VIOLATIONS.values() for key in resource.props}
    found(Resource(kind, "thing", dict.fromkeys(keys, value)))


def test_values_lose_pulumis_wrappers_and_keep_what_is_unknown() -> None:
    props = {"a": [{"b": UNKNOWN_STRING_VALUE, "c": 1.0}], "d": UNKNOWN_STRING_VALUE, "e": {"f": "g"}}
    assert plain(unknown_checking_proxy(props)) == {
        "a": [{"b": UNKNOWN, "c": 1.0}],
        "d": UNKNOWN,
        "e": {"f": "g"},
    }


def test_the_pack_has_every_rule_once() -> None:
    policies = [policy(rule) for rule in RULES]
    assert len({policy.name for policy in policies}) == len(RULES)
    assert all(rule.description.endswith(".") for rule in RULES)


def test_the_rules_know_the_ports_and_tags_of_the_program() -> None:
    """They import nothing of it, so that one slip cannot be in both."""
    ports = PortSettings()
    known = {ports.nats, ports.nats_monitoring, ports.etcd, ports.etcd_peer}
    assert set(openings.COORDINATION) == known
    assert {PROJECT_TAG, STACK_TAG, STATE_TAG} < set(tags.REQUIRED)
    assert tags.ROLE == ROLE_TAG
    assert PUBLIC_ROLES == ("head", "nat")


def test_the_docs_list_every_rule() -> None:
    text = (Path(__file__).parents[3] / "docs/policy.md").read_text(encoding="utf-8")
    assert re.findall(r"^\| `([a-z0-9-]+)` \|", text, re.MULTILINE) == [rule.name for rule in RULES]
