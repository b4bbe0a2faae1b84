"""The types of IAM: roles, what they may do, and the profiles that give them to instances."""

import json
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import unquote

from botocore.exceptions import ClientError

from tests.aws.standin import tags
from tests.aws.standin.kinds import Account, Kind, Properties, changed, given

_DOCS: Final = "terraform-provider-aws: internal/service/iam/{}, ForceNew"


def _or_none(ask: Callable[..., Any], **asked: str) -> Any:
    """Return an answer of IAM, or None where it says that there is no such thing."""
    try:
        return ask(**asked)
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchEntity":
            return None
        raise


def _tags(inputs: Properties) -> dict[str, Any]:
    return {"Tags": tags.listed(inputs["tags"])} if inputs.get("tags") else {}


def _retag(account: Account, noun: str, named: dict[str, str], old: Properties, new: Properties) -> None:
    gone, fresh = tags.difference(old, new)
    if gone:
        getattr(account.iam, f"untag_{noun}")(**named, TagKeys=gone)
    if fresh:
        getattr(account.iam, f"tag_{noun}")(**named, Tags=tags.listed(fresh))


_ROLE: Final = {
    "name": "RoleName",
    "assumeRolePolicy": "AssumeRolePolicyDocument",
    "description": "Description",
    "path": "Path",
}


def _create_role(account: Account, inputs: Properties) -> str:
    return str(account.iam.create_role(**given(inputs, _ROLE), **_tags(inputs))["Role"]["RoleName"])


def _read_role(account: Account, identity: str, state: Properties) -> Properties | None:
    answer = _or_none(account.iam.get_role, RoleName=identity)
    if answer is None:
        return None
    role = answer["Role"]
    return {
        "name": identity,
        "arn": role["Arn"],
        "uniqueId": role["RoleId"],
        "description": role.get("Description", ""),
        "assumeRolePolicy": _document(role["AssumeRolePolicyDocument"], state.get("assumeRolePolicy")),
        **tags.mapped(role.get("Tags", [])),
    }


def _document(found: Any, last: str | None) -> str:
    """Return a policy as it was written, where it says the same."""
    text = found if isinstance(found, str) else json.dumps(found)
    text = unquote(text)
    return last if last is not None and json.loads(last) == json.loads(text) else text


def _update_role(account: Account, identity: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "assumeRolePolicy"):
        account.iam.update_assume_role_policy(RoleName=identity, PolicyDocument=new["assumeRolePolicy"])
    if changed(old, new, "description"):
        described = new.get("description", "")
        account.iam.update_role_description(RoleName=identity, Description=described)
    _retag(account, "role", {"RoleName": identity}, old, new)


def _delete_role(account: Account, identity: str, state: Properties) -> None:
    _or_none(account.iam.delete_role, RoleName=identity)


ROLE: Final = Kind(
    inputs=frozenset(_ROLE) | {"tags"},
    create=_create_role,
    read=_read_role,
    update=_update_role,
    delete=_delete_role,
    named="name",
    replaces=frozenset({"name", "path"}),
    source=_DOCS.format("role.go"),
)

_POLICY: Final = {"name": "PolicyName", "role": "RoleName", "policy": "PolicyDocument"}


def _put_policy(account: Account, inputs: Properties) -> str:
    account.iam.put_role_policy(**given(inputs, _POLICY))
    return f"{inputs['role']}:{inputs['name']}"


def _read_policy(account: Account, identity: str, state: Properties) -> Properties | None:
    role, _, name = identity.partition(":")
    answer = _or_none(account.iam.get_role_policy, RoleName=role, PolicyName=name)
    if answer is None:
        return None
    policy = _document(answer["PolicyDocument"], state.get("policy"))
    return {"name": name, "role": role, "policy": policy}


def _update_policy(account: Account, identity: str, old: Properties, new: Properties) -> None:
    _put_policy(account, new)


def _delete_policy(account: Account, identity: str, state: Properties) -> None:
    role, _, name = identity.partition(":")
    _or_none(account.iam.delete_role_policy, RoleName=role, PolicyName=name)


ROLE_POLICY: Final = Kind(
    inputs=frozenset(_POLICY),
    create=_put_policy,
    read=_read_policy,
    update=_update_policy,
    delete=_delete_policy,
    named="name",
    replaces=frozenset({"name", "role"}),
    source=_DOCS.format("role_policy.go"),
)

_ATTACHMENT: Final = {"role": "RoleName", "policyArn": "PolicyArn"}


def _attach(account: Account, inputs: Properties) -> str:
    account.iam.attach_role_policy(**given(inputs, _ATTACHMENT))
    return f"{inputs['role']}/{inputs['policyArn']}"


def _read_attachment(account: Account, identity: str, state: Properties) -> Properties | None:
    answer = _or_none(account.iam.list_attached_role_policies, RoleName=state["role"])
    attached = [policy["PolicyArn"] for policy in answer["AttachedPolicies"]] if answer else []
    return {} if state["policyArn"] in attached else None


def _detach(account: Account, identity: str, state: Properties) -> None:
    _or_none(account.iam.detach_role_policy, **given(state, _ATTACHMENT))


ROLE_POLICY_ATTACHMENT: Final = Kind(
    inputs=frozenset(_ATTACHMENT),
    create=_attach,
    read=_read_attachment,
    delete=_detach,
    replaces=frozenset(_ATTACHMENT),
    source=_DOCS.format("role_policy_attachment.go"),
)


def _create_profile(account: Account, inputs: Properties) -> str:
    asked = given(inputs, {"name": "InstanceProfileName", "path": "Path"})
    account.iam.create_instance_profile(**asked, **_tags(inputs))
    if inputs.get("role"):
        _give(account, inputs["name"], inputs["role"])
    return str(inputs["name"])


def _give(account: Account, profile: str, role: str) -> None:
    account.iam.add_role_to_instance_profile(InstanceProfileName=profile, RoleName=role)


def _take(account: Account, profile: str, role: str) -> None:
    _or_none(account.iam.remove_role_from_instance_profile, InstanceProfileName=profile, RoleName=role)


def _read_profile(account: Account, identity: str, state: Properties) -> Properties | None:
    answer = _or_none(account.iam.get_instance_profile, InstanceProfileName=identity)
    if answer is None:
        return None
    profile = answer["InstanceProfile"]
    return {
        "name": identity,
        "arn": profile["Arn"],
        "role": next((role["RoleName"] for role in profile["Roles"]), None),
        **tags.mapped(profile.get("Tags", [])),
    }


def _update_profile(account: Account, identity: str, old: Properties, new: Properties) -> None:
    if changed(old, new, "role"):
        for give, role in ((_take, old.get("role")), (_give, new.get("role"))):
            if role:
                give(account, identity, role)
    _retag(account, "instance_profile", {"InstanceProfileName": identity}, old, new)


def _delete_profile(account: Account, identity: str, state: Properties) -> None:
    if state.get("role"):
        _take(account, identity, state["role"])
    _or_none(account.iam.delete_instance_profile, InstanceProfileName=identity)


INSTANCE_PROFILE: Final = Kind(
    inputs=frozenset({"name", "path", "role"}) | {"tags"},
    create=_create_profile,
    read=_read_profile,
    update=_update_profile,
    delete=_delete_profile,
    named="name",
    replaces=frozenset({"name", "path"}),
    source=_DOCS.format("instance_profile.go"),
)
