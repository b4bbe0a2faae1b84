"""The IAM policies in the docs: all that the program's resource types need, and nothing that is unbounded."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from policy.resource import Resource
from policy.rules import RULES

PROJECT = Path(__file__).parents[2]
DOCUMENTS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in PROJECT.glob("docs/iam/*.json")
}
LARGEST = 6144
"""Characters without white space of a managed policy."""

NEEDS = {
    "Vpc": "CreateVpc DeleteVpc ModifyVpcAttribute",
    "InternetGateway": "CreateInternetGateway AttachInternetGateway "
    "DetachInternetGateway DeleteInternetGateway",
    "Subnet": "CreateSubnet DeleteSubnet ModifySubnetAttribute",
    "Eip": "AllocateAddress ReleaseAddress",
    "EipAssociation": "AssociateAddress DisassociateAddress",
    "NatGateway": "CreateNatGateway DeleteNatGateway",
    "RouteTable": "CreateRouteTable DeleteRouteTable",
    "Route": "CreateRoute ReplaceRoute DeleteRoute",
    "RouteTableAssociation": "AssociateRouteTable ReplaceRouteTableAssociation DisassociateRouteTable",
    "VpcEndpoint": "CreateVpcEndpoint ModifyVpcEndpoint DeleteVpcEndpoints",
    "PlacementGroup": "CreatePlacementGroup DeletePlacementGroup",
    "SecurityGroup": "CreateSecurityGroup DeleteSecurityGroup RevokeSecurityGroupEgress",
    "SecurityGroupIngressRule": "AuthorizeSecurityGroupIngress ModifySecurityGroupRules "
    "RevokeSecurityGroupIngress",
    "SecurityGroupEgressRule": "AuthorizeSecurityGroupEgress ModifySecurityGroupRules "
    "RevokeSecurityGroupEgress",
    "KeyPair": "ImportKeyPair DeleteKeyPair",
    "Role": "iam:CreateRole iam:GetRole iam:UpdateAssumeRolePolicy iam:TagRole iam:DeleteRole iam:PassRole "
    "iam:UpdateRoleDescription",
    "RolePolicy": "iam:PutRolePolicy iam:GetRolePolicy iam:DeleteRolePolicy",
    "RolePolicyAttachment": "iam:AttachRolePolicy iam:ListAttachedRolePolicies iam:DetachRolePolicy",
    "InstanceProfile": "iam:CreateInstanceProfile iam:GetInstanceProfile iam:AddRoleToInstanceProfile "
    "iam:RemoveRoleFromInstanceProfile iam:DeleteInstanceProfile",
    "NetworkInterface": "CreateNetworkInterface ModifyNetworkInterfaceAttribute DeleteNetworkInterface",
    "LaunchTemplate": "CreateLaunchTemplate CreateLaunchTemplateVersion "
    "ModifyLaunchTemplate DeleteLaunchTemplate",
    "Instance": "RunInstances TerminateInstances ModifyInstanceAttribute CreateTags DeleteTags",
    "getParameter": "ssm:GetParameter",
}
"""What each type that the program uses asks of AWS; actions without a service are EC2's."""


def statements(name: str) -> Iterator[dict[str, Any]]:
    for statement in DOCUMENTS[name]["Statement"]:
        assert statement["Effect"] == "Allow"
        yield statement


def actions(name: str) -> set[str]:
    return {action for statement in statements(name) for action in statement["Action"]}


def used() -> set[str]:
    """Return the types of AWS that the program makes, as its text has them."""
    text = "\n".join(path.read_text(encoding="utf-8") for path in (PROJECT / "components/aws").glob("*.py"))
    return set(re.findall(r"\b(?:ec2|iam|vpc)\.([A-Z]\w+)\(", text))


def test_up_may_do_what_every_resource_type_needs() -> None:
    allowed = actions("up")
    needed = {
        action if ":" in action else f"ec2:{action}" for text in NEEDS.values() for action in text.split()
    }
    assert needed <= allowed, sorted(needed - allowed)


def test_the_types_are_those_of_the_program() -> None:
    assert used()
    assert used() <= set(NEEDS), sorted(used() - set(NEEDS))


@pytest.mark.parametrize("name", ["preview", "up"])
def test_a_document_fits_and_passes_the_policy_pack(name: str) -> None:
    document = json.dumps(DOCUMENTS[name])
    assert len(re.sub(r"\s", "", document)) < LARGEST
    policy = Resource("aws:iam/policy:Policy", "ci", {"policy": document})
    narrow = next(rule for rule in RULES if rule.name == "narrow-roles")
    assert narrow.violations(policy) == []


@pytest.mark.parametrize("name", ["preview", "up"])
def test_what_changes_something_is_bounded(name: str) -> None:
    for statement in statements(name):
        changing = [one for one in statement["Action"] if not re.search(r":(Get|List|Describe)", one)]
        if changing and statement["Resource"] == "*":
            assert statement["Condition"]["StringEquals"]["aws:RequestedRegion"] == "REGION", changing


def test_what_exists_is_changed_only_where_it_is_tagged_as_ours() -> None:
    (own,) = (one for one in statements("up") if one["Sid"] == "ChangeAndDeleteItsOwn")
    assert own["Condition"]["StringLike"] == {"aws:ResourceTag/dynamo-multinode:project": "*"}
    ending = re.compile(r"ec2:(Delete|Terminate|Stop|Release|Modify|Revoke)")
    elsewhere = [
        one for other in statements("up") if other is not own for one in other["Action"] if ending.match(one)
    ]
    assert elsewhere == []


def test_a_preview_changes_nothing() -> None:
    assert not [one for one in actions("preview") if not re.search(r":(Get|List|Describe|Decrypt)", one)]


def test_nothing_of_others_can_be_tagged_as_ours() -> None:
    """The tag is what decides what may be changed."""
    conditions = [one["Condition"] for one in statements("up") if "ec2:CreateTags" in one["Action"]]
    assert len(conditions) == 2
    assert all("StringLike" in one or "ec2:CreateAction" in one["StringEquals"] for one in conditions)
