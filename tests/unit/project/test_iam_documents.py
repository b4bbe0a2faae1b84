"""The IAM policies in the docs: all that the program's resource types need, and nothing that is unbounded."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from policy.resource import Resource
from policy.rules import RULES

PROJECT = Path(__file__).parents[3]
DOCUMENTS = {
    path.stem: json.loads(path.read_text(encoding="utf-8")) for path in PROJECT.glob("docs/iam/*.json")
}
PAGE = (PROJECT / "docs/ci.md").read_text(encoding="utf-8")
WORKFLOW = yaml.safe_load((PROJECT / ".github/workflows/stacks.yaml").read_text(encoding="utf-8"))
SESSION = 3600
"""Seconds that a session of a role lasts at most, unless its maximum is raised."""
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
    "Instance": "RunInstances TerminateInstances ModifyInstanceAttribute CreateTags DeleteTags "
    "CancelSpotInstanceRequests iam:CreateServiceLinkedRole",
    "getParameter": "ssm:GetParameter",
    "getAmi": "Describe*",
}
"""AWS actions that each type of the program needs; actions without a service are EC2's."""


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
        changing = [entry for entry in statement["Action"] if not re.search(r":(Get|List|Describe)", entry)]
        if changing and statement["Resource"] == "*":
            assert statement["Condition"]["StringEquals"]["aws:RequestedRegion"] == "REGION", changing


def test_what_exists_is_changed_only_where_it_is_tagged_as_ours_or_as_what_blocks_us() -> None:
    ending = re.compile(r"ec2:(Delete|Terminate|Stop|Release|Modify|Revoke|Cancel)")
    found = {
        statement["Sid"]: statement["Condition"]
        for statement in statements("up")
        if any(ending.match(action) for action in statement["Action"])
    }
    assert set(found) == {"ChangeAndDeleteItsOwn", "DeleteWhatGuardDutyPutThere", "EndSpotRequests"}
    own = found["ChangeAndDeleteItsOwn"]["StringLike"]
    assert own == {"aws:ResourceTag/dynamo-multinode:project": "*"}
    theirs = found["DeleteWhatGuardDutyPutThere"]["StringEquals"]
    assert theirs["aws:ResourceTag/GuardDutyManaged"] == "true"
    (spot,) = (statement for statement in statements("up") if statement["Sid"] == "EndSpotRequests")
    assert spot["Action"] == ["ec2:CancelSpotInstanceRequests"], "a request for a spot instance has no tag"


def test_the_role_for_spot_instances_is_the_only_one_that_aws_makes_for_itself() -> None:
    (first,) = (
        statement for statement in statements("up") if "iam:CreateServiceLinkedRole" in statement["Action"]
    )
    assert first["Condition"] == {"StringEquals": {"iam:AWSServiceName": "spot.amazonaws.com"}}
    assert first["Resource"].endswith("spot.amazonaws.com/AWSServiceRoleForEC2Spot")


@pytest.mark.parametrize("name", ["preview", "up"])
def test_keys_decrypt_the_stacks_secrets_and_what_s3_holds_of_its_state(name: str) -> None:
    keys = [
        statement
        for statement in statements(name)
        if any(action.startswith("kms:") for action in statement["Action"])
    ]
    for statement in keys:
        if statement["Resource"].endswith("/KEY"):
            continue
        assert statement["Condition"]["StringEquals"] == {"kms:ViaService": "s3.REGION.amazonaws.com"}
        contexts = statement["Condition"]["StringLike"]["kms:EncryptionContext:aws:s3:arn"]
        assert all(context.startswith("arn:aws:s3:::BUCKET") for context in contexts)
    assert len(keys) == 2


def test_a_preview_reads_of_the_state_what_pulumi_reads_for_it_and_no_history() -> None:
    """As `pulumi preview` and `pulumi refresh --preview-only` ask S3, seen at a bucket."""
    (state,) = (statement for statement in statements("preview") if "s3:GetObject" in statement["Action"])
    read = [re.compile(re.escape(arn).replace(r"\*", ".*")) for arn in state["Resource"]]
    for prefix in ("", "dynamo/"):
        bucket = f"arn:aws:s3:::BUCKET/{prefix}.pulumi"
        for name in ("meta.yaml", "stacks/dynamo/STACK.json", "stacks/dynamo/STACK.pulumi-tags"):
            assert any(pattern.fullmatch(f"{bucket}/{name}") for pattern in read), name
        for name in (
            "history/dynamo/STACK/STACK-1.checkpoint.json",
            "backups/dynamo/STACK/STACK.1.json",
            "stacks/dynamo/OTHER.json",
            "stacks/dynamo/STACK.json.bak",
        ):
            assert not any(pattern.fullmatch(f"{bucket}/{name}") for pattern in read), name


SUBJECTS = {
    "preview-trust": ["repo:OWNER/NAME:pull_request", "repo:OWNER/NAME:ref:refs/heads/main"],
    "up-trust": ["repo:OWNER/NAME:environment:production"],
}


@pytest.mark.parametrize("name", SUBJECTS)
def test_roles_trust_what_they_are_for_and_nobody_by_a_pattern(name: str) -> None:
    (statement,) = DOCUMENTS[name]["Statement"]
    assert statement["Action"] == "sts:AssumeRoleWithWebIdentity"
    (condition,) = statement["Condition"].values()
    assert set(statement["Condition"]) == {"StringEquals"}
    issuer = "token.actions.githubusercontent.com"
    assert condition[f"{issuer}:aud"] == "sts.amazonaws.com"
    subjects = condition[f"{issuer}:sub"]
    assert (subjects if isinstance(subjects, list) else [subjects]) == SUBJECTS[name]
    assert "*" not in json.dumps(DOCUMENTS[name])


def sessions() -> Iterator[tuple[str, dict[str, Any], int]]:
    """Yield every job that takes on a role, and how long its session lasts."""
    for name, job in WORKFLOW["jobs"].items():
        for step in job["steps"]:
            if "configure-aws-credentials" in step.get("uses", ""):
                yield name, job, int(step["with"].get("role-duration-seconds", SESSION))


def test_sessions_last_as_long_as_their_jobs_and_the_page_raises_what_must_be_raised() -> None:
    found = {name: seconds for name, job, seconds in sessions() if 60 * job["timeout-minutes"] <= seconds}
    assert set(found) == {"preview", "up", "drift"}
    for seconds in found.values():
        assert seconds <= SESSION or f"--max-session-duration {seconds}" in PAGE


def test_the_page_names_every_document() -> None:
    assert [name for name in DOCUMENTS if f"iam/{name}.json" not in PAGE] == []


def test_a_preview_changes_nothing() -> None:
    assert not [
        action for action in actions("preview") if not re.search(r":(Get|List|Describe|Decrypt)", action)
    ]
    assert "kms:GenerateDataKey" not in actions("preview")


def test_nothing_of_others_can_be_tagged_as_ours() -> None:
    """The tag is what decides what may be changed."""
    conditions = [
        statement["Condition"] for statement in statements("up") if "ec2:CreateTags" in statement["Action"]
    ]
    assert len(conditions) == 2
    assert all(
        "StringLike" in condition or "ec2:CreateAction" in condition["StringEquals"]
        for condition in conditions
    )
