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
    old_items = {item["what"]: item for item in before["items"]}
    new_items = {item.what: item for item in after.items}
    difference, changes, complete = 0.0, [], True
    for name in dict.fromkeys([*old_items, *new_items]):
        old_count, new_count = (
            old_items[name]["count"] if name in old_items else 0,
            new_items[name].count if name in new_items else 0,
        )
        if old_count == new_count:
            continue
        changes.append(f"{name} {old_count} to {new_count}")
        price = new_items[name].each if name in new_items else old_items[name]["each"]
        complete = complete and price is not None
        difference += (price or 0.0) * (new_count - old_count)
    if not changes:
        return []
    amount = f"{difference:+,.2f} USD an hour" if complete else "price not known"
    return [f"change     {amount}: {', '.join(changes)}"]
