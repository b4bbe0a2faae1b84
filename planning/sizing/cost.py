"""The cost of a plan on AWS while it runs: instances, volumes, the way out, public addresses.

`prices.json` beside this file is a dated snapshot of list prices by region; it says where it comes from, and
`scripts/generate-prices` writes it anew from AWS's price list. A price that is not in it is said to be not
known. What is counted by use, traffic above all, is not in it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

from planning.aws.network import network
from planning.aws.target import aws_target
from planning.values import Plan
from settings.aws.target import AwsTarget

FILE: Final = Path(__file__).with_name("prices.json")
REGENERATE: Final = "scripts/generate-prices"

HOURS_A_MONTH: Final = 730
_FREE_IOPS: Final = 3000
_FREE_THROUGHPUT: Final = 125
"""Limits of a gp3 volume without extra charge: operations, MiB a second."""

NAT_GATEWAY: Final = "nat-gateway"
PUBLIC_ADDRESS: Final = "public-ipv4"
ENDPOINT: Final = "endpoint"
_VOLUME: Final = "root volume"
_NAMES: Final = {NAT_GATEWAY: "NAT gateway", ENDPOINT: "endpoint", PUBLIC_ADDRESS: "public address"}
"""Name in the price list -> name for a reader."""

GP3_GB: Final = "gp3-gb-month"
GP3_IOPS: Final = "gp3-iops-month"
GP3_THROUGHPUT: Final = "gp3-mibps-month"


@dataclass(frozen=True)
class Item:
    """Things of one kind that cost."""

    what: str
    count: int
    each: float | None
    """USD an hour of one; None: not known."""
    instances: bool
    """Whether these are what is bought by the purchase option."""

    @property
    def hourly(self) -> float | None:
        """Return USD an hour of all of them."""
        return None if self.each is None else self.each * self.count


@dataclass(frozen=True)
class Cost:
    """Items that run, and their prices."""

    items: tuple[Item, ...]
    source: str
    """`live`, or `snapshot of 2026-01-21`."""
    meaning: str
    """Meaning of the price of the instances for the purchase option; empty: what is paid."""
    certain: bool
    """Whether the instances cost what is said, so that it may be held against a limit."""

    @property
    def unknown(self) -> tuple[str, ...]:
        """Return what has no known price."""
        return tuple(item.what for item in self.items if item.each is None)

    @property
    def hourly(self) -> float | None:
        """Return USD an hour of everything with a known price; None where an instance's is not known."""
        if any(item.instances and item.each is None for item in self.items):
            return None
        return sum(item.hourly or 0 for item in self.items)

    @property
    def monthly(self) -> float | None:
        """Return USD a month."""
        return None if self.hourly is None else self.hourly * HOURS_A_MONTH


def cost(plan: Plan, live: Mapping[str, float] | None = None, source: str = "live") -> Cost | None:
    """Return what `plan` costs an hour; None on machines that are not bought.

    `live` is USD an hour by instance type, of the plan's purchase option, in place of the snapshot; `source`
    says where it comes from.
    """
    target = aws_target(plan.settings)
    if target is None:
        return None
    prices = _snapshot(target.region)
    instances = prices["instances"] if live is None else live
    return Cost(
        items=(*_instances(plan, target, instances), *_others(plan, target, prices)),
        source=f"snapshot of {_file()['date']}" if live is None else source,
        meaning=_meaning(target, live=live is not None),
        certain=live is not None or target.purchase.option in ("on-demand", "reservation"),
    )


def cost_of(target: AwsTarget, instances: Mapping[str, int], others: Mapping[str, int], volumes: int) -> Cost:
    """Return what so many instances by type, other things by their name in the price list, and volumes cost.

    At the snapshot's prices: for what runs at the moment, whatever was planned.
    """
    prices = _snapshot(target.region)
    instance_items = [
        Item(name, count, prices["instances"].get(name), instances=True) for name, count in instances.items()
    ]
    other_items = [
        Item(_NAMES[name], count, prices.get(name), instances=False) for name, count in others.items()
    ]
    volume_items = [Item(_VOLUME, volumes, _volume(target, prices), instances=False)] if volumes else []
    source = f"snapshot of {_file()['date']}"
    return Cost(
        (*instance_items, *volume_items, *other_items), source, _meaning(target, live=False), certain=False
    )


def over_limit(plan: Plan, total: Cost) -> str | None:
    """Return why the plan costs more than `cost.maxHourly`; None where it does not, or nobody knows."""
    limit, hourly = plan.settings.cost.max_hourly, total.hourly
    if limit is None or hourly is None or not total.certain or hourly <= limit:
        return None
    parts = " + ".join(
        f"{item.count} x {item.what} = {item.hourly:,.2f}" for item in total.items if item.hourly
    )
    stale = f"; `{REGENERATE}` brings newer prices" if total.source.startswith("snapshot") else ""
    return (
        f"the plan costs {hourly:,.2f} USD an hour ({total.source}): {parts}; raise it, lower `replicas` or "
        f"take another `target.instanceType`{stale}"
    )


def _instances(plan: Plan, target: AwsTarget, prices: Mapping[str, float]) -> Iterator[Item]:
    workers = sum(node.gpus > 0 for node in plan.nodes)
    yield Item(target.instance_type, workers, prices.get(target.instance_type), instances=True)
    if workers < len(plan.nodes):
        head = target.head_instance_type
        yield Item(head, 1, prices.get(head, _snapshot(target.region)["instances"].get(head)), instances=True)


def _others(plan: Plan, target: AwsTarget, prices: Mapping[str, Any]) -> Iterator[Item]:
    layout = network(target)
    yield Item(_VOLUME, len(plan.nodes), _volume(target, prices), instances=False)
    if layout.gateway:
        yield Item(_NAMES[NAT_GATEWAY], 1, prices.get(NAT_GATEWAY), instances=False)
    if layout.endpoints:
        yield Item(_NAMES[ENDPOINT], len(layout.endpoints), prices.get(ENDPOINT), instances=False)
    if public := bool(layout.gateway) + layout.public_head:
        yield Item(_NAMES[PUBLIC_ADDRESS], public, prices.get(PUBLIC_ADDRESS), instances=False)


def _volume(target: AwsTarget, prices: Mapping[str, Any]) -> float | None:
    volume = target.volume
    amounts = {
        GP3_GB: volume.size_gib,
        GP3_IOPS: volume.iops - _FREE_IOPS,
        GP3_THROUGHPUT: volume.throughput - _FREE_THROUGHPUT,
    }
    if not amounts.keys() <= prices.keys():
        return None
    return sum(float(prices[name]) * amount for name, amount in amounts.items()) / HOURS_A_MONTH


def _meaning(target: AwsTarget, *, live: bool) -> str:
    match target.purchase.option:
        case "spot" if not live:
            return "of on-demand instances, the most that spot costs"
        case "capacity-block" if not live:
            return "of on-demand instances; a capacity block is paid for when it is bought"
        case "reservation":
            return "a reservation costs this while it is held, used or not"
        case _:
            return ""


def _snapshot(region: str | None) -> Mapping[str, Any]:
    """Return the prices of a region; of one that the file has not, none."""
    prices: Mapping[str, Any] = _file()["regions"].get(region, {"instances": {}})
    return prices


@cache
def _file() -> dict[str, Any]:
    text = FILE.read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]
