"""State that EC2 has and moto does not: placement groups, reserved capacity, sold-out types, and quotas."""

import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Option = Literal["on-demand", "spot", "capacity-block"]

ADDRESSES: Final = 5
"""Elastic IPs that an account has in a region unless it asks for more."""


@dataclass
class PlacementGroup:
    """A placement group; EC2 tells it by name and by id."""

    id: str
    name: str
    strategy: str
    tags: dict[str, str]


@dataclass
class CapacityReservation:
    """Capacity that is set aside: an on-demand reservation, or a capacity block."""

    id: str
    instance_type: str
    zone: str
    total: int
    kind: Literal["default", "capacity-block"] = "default"
    placement_group: str | None = None
    """ARN of the group that the capacity is in."""
    state: str = "active"
    start: float = field(default_factory=time.time)
    end: float | None = None
    held: set[str] = field(default_factory=set)
    """Instances that run in it."""
    leaving: dict[str, float] = field(default_factory=dict)
    """Instances that were terminated, and the second at which their slot is free again."""

    @property
    def available(self) -> int:
        """Return how many instances it has room for now."""
        still = [instance_id for instance_id, free in self.leaving.items() if free > time.monotonic()]
        return self.total - len(self.held) - len(still)


@dataclass
class State:
    """All of it, for one account and region. Tests change it directly."""

    groups: dict[str, PlacementGroup] = field(default_factory=dict)
    """Placement groups by name."""
    reservations: dict[str, CapacityReservation] = field(default_factory=dict)
    sold_out: set[tuple[str, str]] = field(default_factory=set)
    """Instance type and zone that have no capacity."""
    asked_in_vain: int = 0
    """Number of requests for an instance that is sold out."""
    quotas: dict[tuple[str, Option], int] = field(default_factory=dict)
    """vCPUs by family of instance types (`p`, `g`, …) and purchase option; no limit where none is given."""
    tells_quotas: bool = True
    """Whether who asks may ask for quotas."""
    launched: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    """By instance: the request that it was launched with, its launch template filled in."""
    launches: Counter[str] = field(default_factory=Counter)
    """Number of launches at each address."""
    release_seconds: float = 0.0
    """Seconds that a terminated instance keeps its slot; with EC2 that is minutes."""
