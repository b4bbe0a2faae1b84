"""The hardware of a node: GPUs of local nodes by the stack file, of instances by their type."""

from dataclasses import dataclass

from planning.aws.catalogue import INSTANCE_TYPES
from planning.aws.interfaces import efa
from planning.text import counted
from settings.aws.target import AwsTarget
from settings.targets import HostsTarget, LocalTarget

_MIB = 1024 * 1024


@dataclass(frozen=True)
class Machine:
    """GPUs of one node."""

    name: str
    gpus: int
    gpu: str = ""
    """What one GPU is, with its memory, where that is known."""
    gpu_memory: int = 0
    """Bytes of one GPU; 0: not known."""
    efa: int = 0
    """EFA interfaces."""

    def times(self, count: int) -> str:
        """Return `2 x p5.48xlarge (8 x H100 80 GiB, 32 EFA)`, or `2 nodes of 1 GPU`."""
        if self.gpu:
            interfaces = f", {self.efa} EFA" if self.efa else ""
            return f"{count} x {self.name} ({self.gpus} x {self.gpu}{interfaces})"
        return f"{counted(count, self.name)} of {counted(self.gpus, 'GPU')}"


def machine(target: LocalTarget | HostsTarget | AwsTarget) -> Machine | None:
    """Return what each worker node of `target` has; None for a type that is not known, or has no GPU."""
    if isinstance(target, LocalTarget):
        return Machine("node", target.gpus_per_node)
    if isinstance(target, HostsTarget):
        return Machine("host", target.gpus_per_node)
    found = INSTANCE_TYPES.get(target.instance_type)
    if found is None or not found.gpus:
        return None
    return Machine(
        name=found.name,
        gpus=found.gpus,
        gpu=f"{found.gpu} {round(found.gpu_memory_mib / 1024)} GiB",
        gpu_memory=found.gpu_memory_mib * _MIB,
        efa=len(found.efa_cards) if efa(target) else 0,
    )
