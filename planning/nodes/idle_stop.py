"""Lifetime of the machines of a cloud: when they end by themselves, and what they do when taken away."""

from typing import Final

from nodectl.contract.manifest import Watch
from nodectl.contract.runtime import Lifetime
from planning.aws.target import aws_target
from planning.commands import arguments
from planning.commands.arguments import Site
from planning.network import ports
from planning.values import Plan
from settings.models import Settings

REACHED_MINUTES: Final = 60
"""After its boot a machine was reached by `up`, or never will be: that takes minutes."""


def lifetime(settings: Settings) -> Lifetime | None:
    """Return how long every machine lives after its boot; None: until somebody ends it."""
    target = aws_target(settings)
    if target is None or target.lifetime.max_minutes is None:
        return None
    return Lifetime(minutes=target.lifetime.max_minutes, warn_minutes=target.lifetime.warn_minutes)


def first_boot(settings: Settings) -> Lifetime | None:
    """Return how long a machine lives that no `up` reached: its user data ends it.

    The first `up` that reaches it puts its own word in place of this one (`lifetime`, `watch`). So a stack
    that ends idle machines alone bounds these as well; they have had no request.
    """
    deadline, target = lifetime(settings), aws_target(settings)
    if deadline is not None or target is None or target.lifetime.idle_minutes is None:
        return deadline
    minutes = max(target.lifetime.idle_minutes, REACHED_MINUTES)
    return Lifetime(minutes=minutes, warn_minutes=target.lifetime.warn_minutes)


def watch(site: Site, node: str) -> Watch | None:
    """Return what one node watches; None where nothing can happen to it.

    The head alone asks its frontends and tells all others through etcd, which they reach anyway.
    """
    target = aws_target(site.settings)
    if target is None:
        return None
    idle_minutes, option = target.lifetime.idle_minutes, target.purchase.option
    in_block = in_a_block(site.plan, node)
    if idle_minutes is None and option != "spot" and not in_block:
        return None
    checks_idle = idle_minutes is not None and node == site.plan.head
    return Watch(
        frontends=arguments.frontend_urls(site.plan, site.addresses) if checks_idle else [],
        idle_minutes=idle_minutes,
        warn_minutes=target.lifetime.warn_minutes if idle_minutes else 0,
        spot=option == "spot",
        workers=sorted(_listed(site, node)) if option == "spot" or in_block else [],
        drain_seconds=site.settings.rollout.drain_seconds,
        etcd=f"{site.head}:{site.ports.etcd}",
    )


def in_a_block(plan: Plan, node: str) -> bool:
    """Return whether a node is in a capacity block, and so goes before that ends; who knows when says it."""
    target = aws_target(plan.settings)
    uses_blocks = target is not None and target.purchase.option == "capacity-block"
    return uses_blocks and plan.node(node).gpus > 0


def _listed(site: Site, node: str) -> set[str]:
    """Return where engines with a rank on the node are listed: an engine that lost a rank serves nothing."""
    first_ranks = [service.engine.ranks[0] for service in site.plan.services_on(node) if service.engine]
    return {
        f"{site.addresses[rank.node]}:{ports.of_slot(site.ports, rank.slot).request_plane}"
        for rank in first_ranks
    }
