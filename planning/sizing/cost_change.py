"""The cost of a change: the stack output `cost`, and the difference at today's prices."""

from collections.abc import Mapping
from typing import Any

from planning.sizing.cost import Cost

Costs = Mapping[str, Any]
"""The stack output `cost`: `{hourly, source, items: [{what, count, each}]}`, plain JSON."""


def exported(cost: Cost) -> dict[str, Any]:
    """Return a cost as a stack output."""
    items = [{"what": item.what, "count": item.count, "each": item.each} for item in cost.items]
    return {"hourly": cost.hourly, "source": cost.source, "items": items}


def change(before: Costs | None, after: Cost) -> list[str]:
    """Say in a line what a change adds to the cost of an hour, or takes off; nothing where it does neither.

    What ran before is counted at the prices of `after`, where those are known, so that another price alone is
    no change. Nothing as well where the stack was not there before: then everything is new.
    """
    if before is None:
        return []
    was = {item["what"]: item for item in before["items"]}
    now = {item.what: item for item in after.items}
    difference, moved, known = 0.0, [], True
    for what in dict.fromkeys([*was, *now]):
        old, new = was[what]["count"] if what in was else 0, now[what].count if what in now else 0
        if old == new:
            continue
        moved.append(f"{what} {old} to {new}")
        each = now[what].each if what in now else was[what]["each"]
        known = known and each is not None
        difference += (each or 0.0) * (new - old)
    if not moved:
        return []
    amount = f"{difference:+,.2f} USD an hour" if known else "price not known"
    return [f"change     {amount}: {', '.join(moved)}"]
