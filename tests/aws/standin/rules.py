"""Rules of security groups, each a resource of its own."""

from dataclasses import dataclass
from typing import Any, Final, Literal

from botocore.exceptions import ClientError

from tests.aws.standin import tags
from tests.aws.standin.kinds import Account, Kind, Properties, changed, given

_SOURCES: Final = ("cidrIpv4", "cidrIpv6", "prefixListId", "referencedSecurityGroupId")
_FLAT: Final = {
    "ipProtocol": "IpProtocol",
    "fromPort": "FromPort",
    "toPort": "ToPort",
    "cidrIpv4": "CidrIpv4",
    "cidrIpv6": "CidrIpv6",
    "prefixListId": "PrefixListId",
    "description": "Description",
}
"""As descriptions and changes of rules name them."""


@dataclass(frozen=True)
class Rule:
    """Rules of one direction."""

    direction: Literal["ingress", "egress"]

    def kind(self) -> Kind:
        return Kind(
            inputs=frozenset(_FLAT) | {"securityGroupId", "referencedSecurityGroupId"} | {"tags"},
            create=self._create,
            read=self._read,
            update=self._update,
            delete=self._delete,
            replaces=frozenset({"securityGroupId"}),
            replaced=_another_source,
            wrong=_wrong,
            source="terraform-provider-aws: ec2/vpc_security_group_ingress_rule.go, ModifyPlan",
        )

    def _create(self, account: Account, inputs: Properties) -> str:
        authorize = getattr(account.ec2, f"authorize_security_group_{self.direction}")
        specification = tags.specification("security-group-rule", inputs)
        permissions = [_permission(inputs)]
        answer = authorize(GroupId=inputs["securityGroupId"], IpPermissions=permissions, **specification)
        return str(answer["SecurityGroupRules"][0]["SecurityGroupRuleId"])

    def _read(self, account: Account, identity: str, state: Properties) -> Properties | None:
        try:
            found = account.ec2.describe_security_group_rules(SecurityGroupRuleIds=[identity])
        except ClientError as error:
            if "NotFound" in error.response["Error"]["Code"]:
                return None
            raise
        for rule in found["SecurityGroupRules"]:
            return _described(rule, identity, state)
        return None

    def _update(self, account: Account, identity: str, old: Properties, new: Properties) -> None:
        if changed(old, new, *_FLAT, "referencedSecurityGroupId"):
            rule = given(new, _FLAT | {"referencedSecurityGroupId": "ReferencedGroupId"})
            account.ec2.modify_security_group_rules(
                GroupId=new["securityGroupId"],
                SecurityGroupRules=[{"SecurityGroupRuleId": identity, "SecurityGroupRule": rule}],
            )
        tags.update(account, identity, old, new)

    def _delete(self, account: Account, identity: str, state: Properties) -> None:
        if self._read(account, identity, state) is not None:
            revoke = getattr(account.ec2, f"revoke_security_group_{self.direction}")
            revoke(GroupId=state["securityGroupId"], SecurityGroupRuleIds=[identity])


def _permission(inputs: Properties) -> dict[str, Any]:
    permission = given(inputs, {"ipProtocol": "IpProtocol", "fromPort": "FromPort", "toPort": "ToPort"})
    described = given(inputs, {"description": "Description"})
    for key, ranges, name in (
        ("cidrIpv4", "IpRanges", "CidrIp"),
        ("cidrIpv6", "Ipv6Ranges", "CidrIpv6"),
        ("referencedSecurityGroupId", "UserIdGroupPairs", "GroupId"),
        ("prefixListId", "PrefixListIds", "PrefixListId"),
    ):
        if inputs.get(key):
            permission[ranges] = [{name: inputs[key], **described}]
    return permission


def _described(rule: Properties, identity: str, state: Properties) -> Properties:
    found = {key: rule[name] for key, name in _FLAT.items() if name in rule}
    for key in ("fromPort", "toPort"):  # -1 stands for all, as does none
        if found.get(key) == -1 and state.get(key) is None:
            del found[key]
    # moto forgets the description of a rule for a group
    found.setdefault("description", state.get("description"))
    return {
        **found,
        "securityGroupRuleId": identity,
        "securityGroupId": rule["GroupId"],
        "referencedSecurityGroupId": rule.get("ReferencedGroupInfo", {}).get("GroupId"),
        **tags.mapped(rule.get("Tags", [])),
    }


def _another_source(old: Properties, new: Properties) -> tuple[str, ...]:
    """Name the sources when their kind changes: EC2 changes one only into another of its kind."""
    before, after = ([key for key in _SOURCES if entry.get(key)] for entry in (old, new))
    return () if before == after else (*before, *after)


def _wrong(inputs: Properties) -> dict[str, str]:
    sources = [key for key in _SOURCES if inputs.get(key)]
    if len(sources) == 1:
        return {}
    return {
        "ipProtocol": f"a rule has exactly one of {', '.join(_SOURCES)}; this one has {sources or 'none'}"
    }
