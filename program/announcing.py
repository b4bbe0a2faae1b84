"""Announcements of a preview besides its resources: placement, restarts with reasons, changes in cost."""

from collections.abc import Mapping, Sequence

import pulumi

import planning
from planning.sizing.cost_change import change, exported
from planning.values import Plan


def announce(plan: Plan, addresses: Mapping[str, str]) -> None:
    """Say what will run where, and what restarts and why, compared with what this stack last became.

    Only in previews: an update writes the state that the comparison would read, and may read half of it.
    """
    topology, price = planning.topology(plan, addresses), planning.cost(plan)
    pulumi.export("topology", topology)
    if price is not None:
        pulumi.export("cost", exported(price))
    if not pulumi.runtime.is_dry_run():
        return
    pulumi.log.info(planning.describe(plan, addresses))
    this_stack = f"{pulumi.get_organization()}/{pulumi.get_project()}/{pulumi.get_stack()}"
    stack_reference = pulumi.StackReference(this_stack)
    stack_reference.get_output("topology").apply(
        lambda previous: _tell(planning.restarts(previous, topology))
    )
    if price is not None:
        stack_reference.get_output("cost").apply(lambda previous: _tell(change(previous, price)))


def _tell(lines: Sequence[str]) -> None:
    for line in lines:
        pulumi.log.info(line)
