"""The questions that planning asks of every kind of target."""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from nodectl.common.redaction import shown
from planning.network import ports
from planning.placement.assignment import Demand
from planning.sizing.cost import Cost
from planning.text import counted
from planning.values import Machine, Node, Plan
from settings.models import Settings
from settings.problems import Problem


@dataclass(frozen=True)
class TargetPlanning(ABC):
    """Planning of a stack on one kind of target. What only instances on AWS have, others answer empty."""

    settings: Settings

    @property
    @abstractmethod
    def machine(self) -> Machine | None:
        """Return what each worker node has; None of a type that is not known, or has no GPU."""

    @property
    @abstractmethod
    def workers(self) -> list[str] | None:
        """Return the worker nodes that the stack file names or counts; None: as many as the engines need."""

    @property
    def dedicated_head(self) -> str:
        """Return the name of a head without workers."""
        return "head"

    @abstractmethod
    def machine_problems(self) -> Iterator[Problem]:
        """Find what is wrong with the machines themselves, whatever runs on them."""

    def node_problems(self, nodes: Sequence[Node]) -> Iterable[Problem]:  # noqa: ARG002 - of instances alone
        """Find why so many nodes cannot be."""
        return ()

    def no_room(self, demands: Sequence[Demand], machine: Machine) -> Problem:
        """Return what to say when `workers` do not hold the engines."""
        node_count = sum(demand.nodes(machine.gpus) for demand in demands)
        return self._too_few(demands, machine, "target.nodes", f"write {node_count}")

    def notes(self) -> Iterable[str]:
        """Yield what a user of this kind of target should know before `up`."""
        return ()

    def addresses(self, nodes: Sequence[Node]) -> Mapping[str, str]:  # noqa: ARG002 - of instances alone
        """Return the addresses that planning gives to nodes; none where machines have theirs."""
        return {}

    def cost(self, plan: Plan) -> Cost | None:  # noqa: ARG002 - of instances alone
        """Return what the plan costs at the snapshot's prices; None of machines that are not bought."""
        return None

    def place(self) -> str | None:
        """Return where nodes are and how they are bought, in words; None where there is nothing to say."""
        return None

    def outside(self, plan: Plan) -> str | None:  # noqa: ARG002 - of instances alone
        """Return who from outside may connect to what, in words; None where the plan does not decide it."""
        return None

    def _too_few(self, demands: Sequence[Demand], machine: Machine, key: str, remedy: str) -> Problem:
        nodes = len(self.workers or ())
        total = sum(demand.replicas * demand.gpus for demand in demands)
        return Problem(
            key,
            f"cannot hold {in_words(demands)}: {total} of {nodes} x {machine.gpus} = "
            f"{counted(nodes * machine.gpus, 'GPU')}; {remedy}, or lower `replicas`",
            str(nodes),
        )


def in_words(demands: Sequence[Demand]) -> str:
    """Return `2 x prefill of 1 GPU and 4 x decode of 2 GPUs`."""
    return " and ".join(
        f"{demand.replicas} x {demand.role} of {counted(demand.gpus, 'GPU')}" for demand in demands
    )


def too_many_gpus(gpus_per_node: int) -> Iterator[Problem]:
    """Find more GPUs of a node than there are ports for."""
    if gpus_per_node > ports.MAX_GPUS_PER_NODE:
        yield Problem(
            "target.gpusPerNode",
            f"expected at most {ports.MAX_GPUS_PER_NODE}: every GPU may need ports of its own; "
            "use more `nodes`",
            shown(gpus_per_node),
        )
