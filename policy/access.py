"""Rules about IAM roles: their rights, and who may assume them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from policy.resource import Resource, items, texts

ROLE: Final = "aws:iam/role:Role"
POLICIES: Final = ("aws:iam/rolePolicy:RolePolicy", "aws:iam/policy:Policy")
ATTACHMENT: Final = "aws:iam/rolePolicyAttachment:RolePolicyAttachment"
TOO_WIDE: Final = ("AdministratorAccess", "PowerUserAccess", "IAMFullAccess")


def roles_may_do_little(resource: Resource) -> Iterator[str]:
    """Refuse policies that allow everything: every process on a machine has the rights of its role."""
    for statement in _allowed(resource):
        actions, everywhere = texts(statement, "Action"), "*" in texts(statement, "Resource")
        wide = [action for action in actions if action == "*" or (everywhere and action.endswith(":*"))]
        if wide:
            targets = "everything" if everywhere else ", ".join(texts(statement, "Resource"))
            yield f"allows {', '.join(wide)} on {targets}; name the actions and the resources"
        if everywhere and "NotAction" in statement:
            yield "allows all but some actions on everything; name those that are needed"
    for arn in _managed(resource):
        if arn.rpartition("/")[2] in TOO_WIDE:
            yield f"has {arn.rpartition('/')[2]}; give it a policy that names the actions that are needed"


def roles_are_for_machines(resource: Resource) -> Iterator[str]:
    """Refuse roles that anybody may assume."""
    for statement in _statements(resource.props.get("assumeRolePolicy")) if resource.kind == ROLE else ():
        principal = statement.get("Principal")
        principals = texts(principal, "AWS") if isinstance(principal, Mapping) else [principal]
        if "*" in principals and not statement.get("Condition"):
            yield "may be taken on by everybody; name the service `ec2.amazonaws.com` as its principal"


def _allowed(resource: Resource) -> Iterator[Mapping[str, Any]]:
    documents = [resource.props.get("policy")] if resource.kind in POLICIES else []
    if resource.kind == ROLE:
        documents = [one.get("policy") for one in resource.items("inlinePolicies")]
    for document in documents:
        yield from (one for one in _statements(document) if one.get("Effect") == "Allow")


def _managed(resource: Resource) -> list[str]:
    if resource.kind == ATTACHMENT:
        return texts(resource.props, "policyArn")
    return texts(resource.props, "managedPolicyArns") if resource.kind == ROLE else []


def _statements(document: object) -> list[Mapping[str, Any]]:
    """Return the statements of a policy; none if it is not known yet, or so wrong that IAM refuses it."""
    if isinstance(document, str):
        try:
            document = json.loads(document)
        except ValueError:
            return []
    return items(document, "Statement") if isinstance(document, Mapping) else []
