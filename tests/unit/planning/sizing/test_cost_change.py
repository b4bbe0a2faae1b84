"""Cost of a change of a stack, from its last deployed state."""

import json
from dataclasses import replace

from planning.sizing.cost import Cost, Item
from planning.sizing.cost_change import change, exported

P5 = Item("p5.48xlarge", 2, 55.04, instances=True)
VOLUME = Item("root volume", 2, 0.05, instances=False)
COST = Cost((P5, VOLUME), "snapshot of 2026-01-21", "", certain=True)


def after(*items: Item) -> Cost:
    return replace(COST, items=items)


def test_the_same_costs_nothing_more() -> None:
    assert change(exported(COST), COST) == []


def test_a_stack_that_was_not_there_has_no_change() -> None:
    assert change(None, COST) == []


def test_more_and_fewer_of_something_are_said_with_what_that_costs() -> None:
    bigger = after(replace(P5, count=4), replace(VOLUME, count=4))
    assert change(exported(COST), bigger) == [
        "change     +110.18 USD an hour: p5.48xlarge 2 to 4, root volume 2 to 4"
    ]
    assert change(exported(bigger), COST) == [
        "change     -110.18 USD an hour: p5.48xlarge 4 to 2, root volume 4 to 2"
    ]


def test_another_type_is_what_leaves_and_what_comes() -> None:
    other = after(Item("p4d.24xlarge", 2, 21.96, instances=True), VOLUME)
    assert change(exported(COST), other) == [
        "change     -66.16 USD an hour: p5.48xlarge 2 to 0, p4d.24xlarge 0 to 2"
    ]


def test_another_price_alone_is_no_change() -> None:
    dearer = after(replace(P5, each=60.0), VOLUME)
    assert change(exported(COST), dearer) == []
    assert change(exported(COST), after(replace(P5, each=60.0, count=3), VOLUME)) == [
        "change     +60.00 USD an hour: p5.48xlarge 2 to 3"
    ]


def test_a_price_that_is_not_known_is_not_made_up() -> None:
    unknown = after(Item("p9.huge", 1, None, instances=True), P5, VOLUME)
    assert change(exported(COST), unknown) == ["change     price not known: p9.huge 0 to 1"]


def test_the_output_is_plain_json() -> None:
    assert json.loads(json.dumps(exported(COST))) == exported(COST)
