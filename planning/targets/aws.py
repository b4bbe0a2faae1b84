"""Planning on AWS: instances are bought, and get addresses, a network and a price before they exist."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from planning.aws import capability, capacity, checks, efa_nvme
from planning.aws.groups import SSH, rules
from planning.aws.interfaces import efa
from planning.aws.network import addresses, network
from planning.aws.target import gpu_type
from planning.sizing.cost import Cost, cost
from planning.targets.kind import TargetPlanning
from planning.values import Machine, Node, Plan
from settings.aws.target import AwsTarget
from settings.problems import Problem

_MIB: Final = 1024 * 1024


@dataclass(frozen=True)
class AwsPlanning(TargetPlanning):
    """Instances, as many as the engines need."""

    target: AwsTarget

    @property
    def machine(self) -> Machine | None:
        instance = gpu_type(self.settings)
        if instance is None or not instance.gpus:
            return None
        return Machine(
            name=instance.name,
            gpus=instance.gpus,
            gpu=f"{instance.gpu} {round(instance.gpu_memory_mib / 1024)} GiB",
            gpu_memory=instance.gpu_memory_mib * _MIB,
            efa=len(instance.efa_cards) if efa(self.target) else 0,
        )

    @property
    def workers(self) -> None:
        return None

    def machine_problems(self) -> Iterator[Problem]:
        yield from checks.instance_types(self.settings, self.target)
        yield from efa_nvme.problems(self.settings)
        yield from capability.problems(self.settings)
        yield from checks.reachability(self.settings, self.target)

    def node_problems(self, nodes: Sequence[Node]) -> Iterator[Problem]:
        yield from checks.enough_addresses(self.target, nodes)

    def notes(self) -> Iterator[str]:
        yield from checks.notes(self.settings, self.target)
        yield from efa_nvme.notes(self.settings)
        yield from capability.notes(self.settings)

    def addresses(self, nodes: Sequence[Node]) -> Mapping[str, str]:
        return addresses(self.target, nodes)

    def cost(self, plan: Plan) -> Cost | None:
        return cost(plan)

    def place(self) -> str:
        layout, purchase = network(self.target), self.target.purchase
        group = self.target.placement_group or ("of its own" if capacity.own_group(self.target) else "none")
        parts = [
            self.target.network.subnet_id or layout.zone,
            f"nodes in {layout.cluster}",
            f"placement group {group}",
            purchase.option + (f" {purchase.reservation_id}" if purchase.reservation_id else ""),
        ]
        return " · ".join(parts)

    def outside(self, plan: Plan) -> str:
        peers: dict[int, list[str]] = {}
        for rule in rules(plan):
            if rule.group == "access" and rule.first is not None:
                peers.setdefault(rule.first, []).append(rule.peer)
        ports = sorted(peers, key=lambda port: port == SSH)
        parts = [f"{port} from {', '.join(peers[port])}" for port in ports]
        if self.target.access == "ssm":
            parts.append("SSH through Session Manager")
        return " · ".join([*parts, "nothing else"])
