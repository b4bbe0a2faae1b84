"""`python -m scripts.catalogue`: writes planning/aws/catalogue.json from EC2's DescribeInstanceTypes.

Needs credentials that may call it, and asks the region and endpoint that the AWS SDK is configured with
(AWS_REGION, AWS_PROFILE, AWS_ENDPOINT_URL). A region describes only the types that it offers.
"""

import sys
from collections.abc import Mapping

import boto3

from planning.aws.catalogue import FILE, InstanceType, instance_type, text


def described(region: str | None = None) -> Mapping[str, InstanceType]:
    """Return every type of a region that a node can be of."""
    pages = boto3.client("ec2", region_name=region).get_paginator("describe_instance_types").paginate()
    found = (instance_type(entry) for page in pages for entry in page["InstanceTypes"])
    return {one.name: one for one in found if one}


if __name__ == "__main__":
    types = described()
    FILE.write_text(text(types), encoding="utf-8")
    print(f"wrote {FILE}: {len(types)} instance types", file=sys.stderr)
