"""Planning on this machine: every node is a loopback address of its own."""

from collections.abc import Iterator
from dataclasses import dataclass

from planning.placement.assignment import node_names
from planning.targets.kind import TargetPlanning, too_many_gpus
from planning.values import Machine
from settings.problems import Problem
from settings.targets import LocalTarget


@dataclass(frozen=True)
class LocalPlanning(TargetPlanning):
    """As many nodes as the stack file counts, or the engines need."""

    target: LocalTarget

    @property
    def machine(self) -> Machine:
        return Machine("node", self.target.gpus_per_node)

    @property
    def workers(self) -> list[str] | None:
        return node_names(self.target.nodes) if self.target.nodes else None

    def machine_problems(self) -> Iterator[Problem]:
        yield from too_many_gpus(self.target.gpus_per_node)
