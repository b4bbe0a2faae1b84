"""The plan's security groups, every rule a resource of its own: rules inside a group would undo others."""

from collections.abc import Mapping
from dataclasses import dataclass

import pulumi
from pulumi_aws import ec2, vpc

from components.aws.labels import Labels
from planning.aws.groups import GROUPS, Group, Rule, rules
from planning.values import Plan


@dataclass(frozen=True)
class SecurityGroupsArgs:
    """Arguments of `SecurityGroups`."""

    plan: Plan
    vpc: pulumi.Input[str]
    labels: Labels


class SecurityGroups(pulumi.ComponentResource):
    """Security groups that allow the connections of the plan's flows."""

    ids: Mapping[str, pulumi.Output[str]]
    """By the groups' names."""
    rules: list[pulumi.Resource]

    def __init__(
        self, name: str, args: SecurityGroupsArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("dynamo:aws:SecurityGroups", name, None, opts)
        self._args, self._child = args, pulumi.ResourceOptions(parent=self)
        self.ids = {group: self._group(group).id for group in GROUPS}
        self.rules = [self._rule(rule) for rule in rules(args.plan)]
        self.register_outputs({"ids": dict(self.ids)})

    def _group(self, group: Group) -> ec2.SecurityGroup:
        return ec2.SecurityGroup(
            group,
            description=GROUPS[group],
            vpc_id=self._args.vpc,
            tags=self._args.labels.of(group),
            opts=self._child,
        )

    def _rule(self, rule: Rule) -> pulumi.Resource:
        create = vpc.SecurityGroupIngressRule if rule.direction == "ingress" else vpc.SecurityGroupEgressRule
        return create(
            rule.name,
            security_group_id=self.ids[rule.group],
            ip_protocol=rule.protocol,
            from_port=rule.first,
            to_port=rule.last,
            **self._peer(rule),
            description=rule.why,
            tags=self._args.labels.of(rule.name),
            opts=pulumi.ResourceOptions(parent=self, aliases=self._former(rule)),
        )

    def _former(self, rule: Rule) -> list[pulumi.Alias]:
        return [pulumi.Alias(name=rule.former_name)] if rule.former_name != rule.name else []

    def _peer(self, rule: Rule) -> dict[str, pulumi.Input[str]]:
        """Return the argument that says who is on the other side."""
        if rule.of_group:
            return {"referenced_security_group_id": self.ids[rule.peer]}
        return {"cidr_ipv6" if ":" in rule.peer else "cidr_ipv4": rule.peer}
