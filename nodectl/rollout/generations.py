"""Keeps one whole generation of prefill and decode workers serving while another one takes over."""

from itertools import chain
from typing import Final

from nodectl.contract.manifest import RolloutService
from nodectl.dynamo.registry import COMPONENTS, Listed
from nodectl.rollout.serving import Listings

PARTNERS: Final = {"prefill": "decode", "decode": "prefill"}
"""Role -> the role without which it serves nothing."""


def may_stop(listings: Listings, service: RolloutService, namespace: str) -> bool:
    """Return whether requests are served without a worker that changes to the generation of `namespace`.

    True as well where nothing can be kept up: nobody else has its role, or no generation is whole by now.
    """
    workers = set(chain.from_iterable(listings.values()))
    own_workers = {worker for worker in workers if worker.address == service.address}
    if service.role not in PARTNERS or all(worker.namespace == namespace for worker in own_workers):
        return True
    other_workers = workers - own_workers
    has_substitute = any(worker.component == COMPONENTS[service.role] for worker in other_workers)
    return not has_substitute or not _whole(workers) or _whole(other_workers)


def _whole(workers: set[Listed]) -> bool:
    """Return whether any generation has workers of both phases."""
    needed = {COMPONENTS[role] for role in PARTNERS}
    namespaces = {worker.namespace for worker in workers}
    return any(
        needed <= {worker.component for worker in workers if worker.namespace == namespace}
        for namespace in namespaces
    )
