"""Purchase option and placement group of each node's capacity.

A cluster placement group keeps the GPU nodes close. Capacity blocks have a place of their own, and EC2
refuses a group with them; a reservation is launched in the group that it was made in, or in none. A head
without GPUs is bought on demand, outside of all that.
"""

from dataclasses import dataclass
from typing import Literal

from planning.values import Node
from settings.aws.target import AwsTarget

Market = Literal["spot", "capacity-block"]


@dataclass(frozen=True)
class Capacity:
    """Capacity as a node's launch template states it."""

    market: Market | None
    """Market type as EC2 names it; None: on demand, reserved or not."""
    reservation: str | None
    """Id of the capacity reservation or block; None: none is targeted."""
    grouped: bool
    """Whether it is in the placement group of the plan (`placement_group`)."""


ON_DEMAND = Capacity(None, None, grouped=False)


def capacity(target: AwsTarget, node: Node) -> Capacity:
    """Return how `node` is bought."""
    if not node.gpus:
        return ON_DEMAND
    option, reservation = target.purchase.option, target.purchase.reservation_id
    market: Market | None = option if option in ("spot", "capacity-block") else None
    return Capacity(market, reservation, grouped=own_group(target) or target.placement_group is not None)


def own_group(target: AwsTarget) -> bool:
    """Return whether the stack makes a placement group; `target.placement_group` names one that there is."""
    return target.purchase.option in ("on-demand", "spot") and target.placement_group is None
