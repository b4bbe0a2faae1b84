"""The launch of each node: its instance type, how that is bought, and its interfaces."""

from dataclasses import dataclass

from planning.aws.capacity import Capacity, capacity
from planning.aws.catalogue import INSTANCE_TYPES
from planning.aws.interfaces import Interface, efa, interfaces
from planning.values import Node
from settings.aws.target import AwsTarget


@dataclass(frozen=True)
class Launch:
    """Instance type, capacity and interfaces with which one node is launched."""

    instance_type: str
    capacity: Capacity
    interfaces: tuple[Interface, ...]


def launch(target: AwsTarget, node: Node) -> Launch:
    """Return how `node` is launched. A head without GPUs has no EFA: it moves no KV blocks."""
    name = target.instance_type if node.gpus else target.head_instance_type
    with_efa = bool(node.gpus) and efa(target)
    return Launch(name, capacity(target, node), interfaces(INSTANCE_TYPES[name], efa=with_efa))
