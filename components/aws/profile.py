"""The instance profile of a stack: what its nodes may do in the account."""

import json
from dataclasses import dataclass

import pulumi
from pulumi_aws import iam

from components.aws.labels import Labels
from planning.aws.rights import TRUST, managed_policy, model_policy
from planning.values import Plan
from settings.aws.target import AwsTarget


@dataclass(frozen=True)
class ProfileArgs:
    """Arguments of `Profile`."""

    plan: Plan
    target: AwsTarget
    labels: Labels


class Profile(pulumi.ComponentResource):
    """A role with what the stack file makes nodes need: nothing, without S3 and Session Manager."""

    profile: pulumi.Output[str]
    """Name of the instance profile."""
    rights: list[pulumi.Resource]
    """Resources that must exist before an instance may do anything."""

    def __init__(self, name: str, args: ProfileArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("dynamo:aws:Profile", name, None, opts)
        child, tags = pulumi.ResourceOptions(parent=self), args.labels.of("nodes")
        role = iam.Role(
            name,
            description="nodes of a Dynamo deployment",
            assume_role_policy=json.dumps(TRUST),
            tags=tags,
            opts=child,
        )
        self.rights = []
        if policy_arn := managed_policy(args.target):
            attachment = iam.RolePolicyAttachment("ssm", role=role.name, policy_arn=policy_arn, opts=child)
            self.rights.append(attachment)
        if policy := model_policy(args.plan, args.target):
            inline_policy = iam.RolePolicy("model", role=role.id, policy=json.dumps(policy), opts=child)
            self.rights.append(inline_policy)
        self.profile = iam.InstanceProfile(name, role=role.name, tags=tags, opts=child).name
        self.register_outputs({"profile": self.profile})
