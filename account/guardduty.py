"""The VPC endpoint and security group that GuardDuty's Runtime Monitoring creates in a VPC.

They appear with the first instance and stay after the last one, and then EC2 deletes neither subnet nor VPC.
So they are deleted with the stack's own VPC. Only resources with GuardDuty's tag are deleted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from account.queries import POLL_SECONDS
from nodectl.common.waiting import Wait

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client

MANAGED_TAG: Final = "GuardDutyManaged"

_GONE_SECONDS: Final = 600


@dataclass(frozen=True)
class Leftovers:
    """Ids of GuardDuty's resources in one VPC."""

    endpoints: tuple[str, ...]
    groups: tuple[str, ...]

    def __bool__(self) -> bool:
        return bool(self.endpoints or self.groups)

    def __str__(self) -> str:
        return ", ".join([*self.endpoints, *self.groups])


def leftovers(ec2: "EC2Client", vpc: str) -> Leftovers:
    """Return GuardDuty's resources in a VPC. Raises botocore's errors."""
    groups = ec2.describe_security_groups(Filters=_managed(vpc))["SecurityGroups"]
    return Leftovers(
        tuple(name for name, state in _endpoints(ec2, vpc).items() if state != "deleting"),
        tuple(group["GroupId"] for group in groups),
    )


def remove(ec2: "EC2Client", vpc: str, resources: Leftovers, report: Callable[[str], None]) -> None:
    """Delete the endpoints, which takes EC2 minutes, then the groups. Raises botocore's errors."""
    if resources.endpoints:
        ec2.delete_vpc_endpoints(VpcEndpointIds=list(resources.endpoints))
        report(f"{', '.join(resources.endpoints)}: deleted; EC2 takes minutes to take the interfaces away")
        _until_gone(ec2, vpc)
    for group in resources.groups:
        ec2.delete_security_group(GroupId=group)
        report(f"{group}: deleted")


def _until_gone(ec2: "EC2Client", vpc: str) -> None:
    """Wait until the endpoints are gone: until then EC2 refuses to delete the groups."""
    Wait("endpoints", _GONE_SECONDS, interval=POLL_SECONDS).holds(lambda: not _endpoints(ec2, vpc))


def _endpoints(ec2: "EC2Client", vpc: str) -> dict[str, str]:
    """Return the state of each endpoint that is not deleted."""
    endpoints = ec2.describe_vpc_endpoints(Filters=_managed(vpc))["VpcEndpoints"]
    states = {endpoint["VpcEndpointId"]: endpoint["State"].lower() for endpoint in endpoints}
    return {name: state for name, state in states.items() if state != "deleted"}


def _managed(vpc: str) -> list[Any]:
    return [{"Name": "vpc-id", "Values": [vpc]}, {"Name": f"tag:{MANAGED_TAG}", "Values": ["true"]}]
