"""Network interfaces of an instance, exactly as its type has them.

Card 0 carries the primary interface. EFA interfaces take device 1 of card 0, where that card has EFA, and
device 0 of every other card with it; they carry no IP address, so a node keeps the one planned for it.
Source: the EC2 guide on EFA, and `DescribeInstanceTypes` for which cards have it.
"""

from dataclasses import dataclass
from typing import Literal

from planning.aws.catalogue import INSTANCE_TYPES, InstanceType
from settings.aws.target import AwsTarget


@dataclass(frozen=True)
class Interface:
    """One interface: its network card, its place on the card, and what it is."""

    card: int
    device: int
    kind: Literal["interface", "efa-only"]


def efa(target: AwsTarget) -> bool:
    """Return whether the GPU nodes have EFA: where their type has it, or as the stack file says."""
    if target.efa is not None:
        return target.efa
    return bool(INSTANCE_TYPES[target.instance_type].efa_cards)


def interfaces(instance: InstanceType, *, efa: bool) -> tuple[Interface, ...]:
    """Return the interfaces of an instance, the primary one first."""
    primary = Interface(0, 0, "interface")
    if not efa:
        return (primary,)
    efa_interfaces = [Interface(card, 0 if card else 1, "efa-only") for card in instance.efa_cards]
    return (primary, *efa_interfaces)
