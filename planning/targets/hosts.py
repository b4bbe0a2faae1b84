"""Planning on machines that the user has: the inventory names every node."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from planning.placement.assignment import Demand
from planning.targets.kind import TargetPlanning, in_words, too_many_gpus
from planning.text import counted
from planning.values import Machine
from settings.problems import Problem
from settings.targets import HostsTarget


@dataclass(frozen=True)
class HostsPlanning(TargetPlanning):
    """The machines of the inventory; a dedicated head is the first of them."""

    target: HostsTarget

    @property
    def machine(self) -> Machine:
        return Machine("host", self.target.gpus_per_node)

    @property
    def workers(self) -> list[str]:
        names = [entry.name for entry in self.target.inventory]
        return names if self.settings.head.placement == "colocated" else names[1:]

    @property
    def dedicated_head(self) -> str:
        return self.target.inventory[0].name

    def machine_problems(self) -> Iterator[Problem]:
        yield from too_many_gpus(self.target.gpus_per_node)

    def no_room(self, demands: Sequence[Demand], machine: Machine) -> Problem:
        node_count = sum(demand.nodes(machine.gpus) for demand in demands)
        machine_count = len(self.target.inventory)
        if len(self.workers) < machine_count:
            return Problem(
                "target.inventory",
                f"{counted(machine_count, 'machine')}, one is the head; list {node_count + 1}, or lower "
                f"`replicas`: {in_words(demands)} need {counted(node_count, 'worker')}",
            )
        return self._too_few(demands, machine, "target.inventory", f"list {node_count} machines")
