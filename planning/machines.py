"""What a node of each target has: GPUs of local nodes by the stack file, of instances by their type."""

from dataclasses import dataclass
from typing import Final

from planning.words import counted
from settings.aws import AwsTarget
from settings.targets import HostsTarget, LocalTarget


@dataclass(frozen=True)
class Machine:
    """GPUs of one node."""

    name: str
    gpus: int
    gpu: str = ""
    """What one GPU is, with its memory, where that is known."""

    def times(self, count: int) -> str:
        """Return `2 x p5.48xlarge (8 x H100 80 GB)`, or `2 nodes of 1 GPU`."""
        if self.gpu:
            return f"{count} x {self.name} ({self.gpus} x {self.gpu})"
        return f"{counted(count, self.name)} of {counted(self.gpus, 'GPU')}"


_INSTANCES: Final = (
    Machine("p4d.24xlarge", 8, "A100 40 GB"),
    Machine("p4de.24xlarge", 8, "A100 80 GB"),
    Machine("p5.48xlarge", 8, "H100 80 GB"),
    Machine("p5e.48xlarge", 8, "H200 141 GB"),
    Machine("p5en.48xlarge", 8, "H200 141 GB"),
    Machine("p6-b200.48xlarge", 8, "B200 180 GB"),
    Machine("g6e.12xlarge", 4, "L40S 48 GB"),
    Machine("g6e.24xlarge", 4, "L40S 48 GB"),
    Machine("g6e.48xlarge", 8, "L40S 48 GB"),
    Machine("g6.48xlarge", 8, "L4 24 GB"),
    Machine("g5.48xlarge", 8, "A10G 24 GB"),
)
INSTANCES: Final = {machine.name: machine for machine in _INSTANCES}


def machine(target: LocalTarget | HostsTarget | AwsTarget) -> Machine | None:
    """Return what each node of `target` has; None for an instance type that is not in the table."""
    if isinstance(target, LocalTarget):
        return Machine("node", target.gpus_per_node)
    if isinstance(target, HostsTarget):
        return Machine("host", target.gpus_per_node)
    return INSTANCES.get(target.instance_type)
