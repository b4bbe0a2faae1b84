"""When the machines of a cloud end by themselves, and what they do when they are taken away."""

from nodectl.manifest import Lifetime, Watch
from planning import commands, ports
from planning.commands import Site
from settings.aws import AwsTarget
from settings.models import Settings


def lifetime(settings: Settings) -> Lifetime | None:
    """Return how long every machine lives after its boot; None: until somebody ends it."""
    target = settings.target
    if not isinstance(target, AwsTarget) or target.lifetime.max_minutes is None:
        return None
    return Lifetime(minutes=target.lifetime.max_minutes, warn_minutes=target.lifetime.warn_minutes)


def watch(site: Site, node: str) -> Watch | None:
    """Return what one node watches; None where nothing can happen to it.

    The head alone asks its frontends and tells all others through etcd, which they reach anyway.
    """
    target = site.settings.target
    if not isinstance(target, AwsTarget):
        return None
    idle, spot = target.lifetime.idle_minutes, target.purchase.option == "spot"
    if idle is None and not spot:
        return None
    asks = idle is not None and node == site.plan.head
    return Watch(
        frontends=commands.frontend_urls(site.plan, site.addresses) if asks else [],
        idle_minutes=idle,
        warn_minutes=target.lifetime.warn_minutes if idle else 0,
        spot=spot,
        workers=sorted(_listed(site, node)) if spot else [],
        drain_seconds=site.settings.rollout.drain_seconds,
        etcd=f"{site.head}:{ports.ETCD}",
    )


def _listed(site: Site, node: str) -> set[str]:
    """Return where engines with a rank on the node are listed: an engine that lost a rank serves nothing."""
    return {
        f"{site.addresses[engine.ranks[0].node]}:{ports.of_slot(engine.ranks[0].slot).request_plane}"
        for engine in site.plan.engines
        if any(rank.node == node for rank in engine.ranks)
    }
