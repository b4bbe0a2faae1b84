"""Rights of an instance in the account: Session Manager, reading the model on S3, no more."""

from typing import Any, Final

from planning.values import Plan
from settings.aws.target import AwsTarget

_VERSION: Final = "2012-10-17"
_BUCKET: Final = "s3://"
_PARTITIONS: Final = {"cn-": "aws-cn", "us-gov-": "aws-us-gov"}

TRUST: Final = {
    "Version": _VERSION,
    "Statement": [
        {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "ec2.amazonaws.com"}}
    ],
}
"""Trust policy: instances may have these rights."""


def managed_policy(target: AwsTarget) -> str | None:
    """Return AWS's own policy for Session Manager's agent, where nodes are reached by it."""
    if target.access != "ssm":
        return None
    return f"arn:{_partition(target)}:iam::aws:policy/AmazonSSMManagedInstanceCore"


def model_policy(plan: Plan, target: AwsTarget) -> dict[str, Any] | None:
    """Return the policy that lets a node read the model, and nothing beside it; None unless it is on S3."""
    model = plan.runtime.model
    if model is None or not model.name.startswith(_BUCKET):
        return None
    bucket, _, folder = model.name.removeprefix(_BUCKET).partition("/")
    bucket_arn = f"arn:{_partition(target)}:s3:::{bucket}"
    condition = {"StringLike": {"s3:prefix": [folder, f"{folder}/*"]}}
    return {
        "Version": _VERSION,
        "Statement": [
            {"Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket_arn, "Condition": condition},
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": f"{bucket_arn}/{folder}/*"},
            _decrypting(target, bucket_arn, folder),
        ],
    }


def _decrypting(target: AwsTarget, bucket: str, folder: str) -> dict[str, Any]:
    """Return what a bucket under a key of KMS asks for: S3 may decrypt for the node what is the model's.

    S3 says as context the object, or the bucket where that has a bucket key.
    """
    return {
        "Effect": "Allow",
        "Action": "kms:Decrypt",
        "Resource": f"arn:{_partition(target)}:kms:*:*:key/*",
        "Condition": {
            "StringLike": {
                "kms:ViaService": "s3.*.amazonaws.com*",
                "kms:EncryptionContext:aws:s3:arn": [bucket, f"{bucket}/{folder}/*"],
            }
        },
    }


def _partition(target: AwsTarget) -> str:
    region = target.region or ""
    return next((name for prefix, name in _PARTITIONS.items() if region.startswith(prefix)), "aws")
