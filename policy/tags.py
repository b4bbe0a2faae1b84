"""Rule about tags, which bills, clean-ups and the check for a second fleet depend on."""

from collections.abc import Iterator, Mapping
from typing import Final

from policy.resource import UNKNOWN, Resource, Unknown

ROLE: Final = "dynamo-multinode:role"
"""Owner's role: `head`, `worker` or `nat`; on Elastic IPs, network interfaces and instances."""

REQUIRED: Final = ("Name", "dynamo-multinode:project", "dynamo-multinode:stack", "dynamo-multinode:state")

TAGGED: Final = frozenset(
    {
        "aws:ebs/volume:Volume",
        "aws:ec2/eip:Eip",
        "aws:ec2/instance:Instance",
        "aws:ec2/internetGateway:InternetGateway",
        "aws:ec2/keyPair:KeyPair",
        "aws:ec2/launchTemplate:LaunchTemplate",
        "aws:ec2/natGateway:NatGateway",
        "aws:ec2/networkInterface:NetworkInterface",
        "aws:ec2/placementGroup:PlacementGroup",
        "aws:ec2/routeTable:RouteTable",
        "aws:ec2/securityGroup:SecurityGroup",
        "aws:ec2/spotInstanceRequest:SpotInstanceRequest",
        "aws:ec2/subnet:Subnet",
        "aws:ec2/vpc:Vpc",
        "aws:ec2/vpcEndpoint:VpcEndpoint",
        "aws:iam/instanceProfile:InstanceProfile",
        "aws:iam/policy:Policy",
        "aws:iam/role:Role",
        "aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule",
        "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule",
    }
)
"""Types that can have tags, of those that a fleet may need."""


def everything_is_tagged(resource: Resource) -> Iterator[str]:
    """Refuse resources without the tags of their stack."""
    if resource.kind not in TAGGED or UNKNOWN in (resource.props.get("tags"), resource.props.get("tagsAll")):
        return
    missing = [key for key in REQUIRED if not tag(resource, key)]
    if missing:
        names = ", ".join(f"`{key}`" for key in missing)
        yield f"has no tag {names}; tag it as the stack's other resources are"


def tag(resource: Resource, key: str) -> str | Unknown:
    """Return a tag of a resource, including the provider's default tags; empty if it has none."""
    for name in ("tags", "tagsAll"):
        tags = resource.props.get(name)
        if tags is UNKNOWN:
            return Unknown.UNKNOWN
        if value := _mapping(tags).get(key):
            return value
    return ""


def _mapping(value: object) -> Mapping[str, str | Unknown]:
    return value if isinstance(value, Mapping) else {}
