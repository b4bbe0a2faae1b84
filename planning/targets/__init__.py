"""Planning by where the nodes come from: a module a kind of target, chosen here and nowhere else."""

from planning.targets.aws import AwsPlanning
from planning.targets.hosts import HostsPlanning
from planning.targets.kind import TargetPlanning
from planning.targets.local import LocalPlanning
from settings.aws.target import AwsTarget
from settings.models import Settings
from settings.targets import HostsTarget, LocalTarget

__all__ = ["TargetPlanning", "target_planning"]


def target_planning(settings: Settings) -> TargetPlanning:
    """Return how a stack is planned on its target."""
    match settings.target:
        case LocalTarget() as target:
            return LocalPlanning(settings, target)
        case HostsTarget() as target:
            return HostsPlanning(settings, target)
        case AwsTarget() as target:
            return AwsPlanning(settings, target)
