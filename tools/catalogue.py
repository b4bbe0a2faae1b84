"""`python -m tools.catalogue`: writes planning/aws/catalogue.json from EC2's DescribeInstanceTypes.

Needs credentials that may call it, and asks the region and endpoint that the AWS SDK is configured with
(AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL). A region describes only the types that it offers.
"""

import sys
from collections.abc import Iterable, Mapping

import boto3

from nodectl.common.commandline import CommandLine
from planning.aws.catalogue import FILE, InstanceType, instance_type, text


def described(region: str | None = None) -> Mapping[str, InstanceType]:
    """Return every instance type of a region that a node can have, by name."""
    pages = boto3.client("ec2", region_name=region).get_paginator("describe_instance_types").paginate()
    types = (instance_type(entry) for page in pages for entry in page["InstanceTypes"])
    return {instance.name: instance for instance in types if instance}


def unknown_gpus(types: Iterable[InstanceType]) -> list[str]:
    """Return the GPUs whose compute capability is not recorded in planning/aws/gpus.py."""
    return sorted(
        {instance.gpu for instance in types if instance.gpus and instance.compute_capability is None}
    )


if __name__ == "__main__":
    CommandLine(prog="python -m tools.catalogue", description=__doc__).parse_args()
    types = described()
    if unknown := unknown_gpus(types.values()):
        sys.exit(
            f"planning/aws/gpus.py has no compute capability of {', '.join(unknown)}; add it, run this again"
        )
    FILE.write_text(text(types), encoding="utf-8")
    print(f"wrote {FILE}: {len(types)} instance types", file=sys.stderr)
