"""The target of a stack file, where its nodes are instances of EC2."""

from planning.aws.catalogue import INSTANCE_TYPES, InstanceType
from settings.aws.target import AwsTarget
from settings.models import Settings


def aws_target(settings: Settings) -> AwsTarget | None:
    """Return the target of nodes that are instances; None where the user has the machines."""
    return settings.target if isinstance(settings.target, AwsTarget) else None


def required_aws_target(settings: Settings) -> AwsTarget:
    """Return the target of nodes that are instances. Raises `TypeError` where the user has the machines."""
    target = aws_target(settings)
    if target is None:
        raise TypeError(f"not aws: {settings.target.kind}")
    return target


def gpu_type(settings: Settings) -> InstanceType | None:
    """Return the type of the GPU nodes; None of machines that the user has, and of a type not known."""
    target = aws_target(settings)
    return INSTANCE_TYPES.get(target.instance_type) if target else None
