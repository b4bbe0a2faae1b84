"""Judges the frontend's list of workers against the plan."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nodectl.contract.proof import ProofInstance

COMPONENTS: Final = {"aggregated": "backend", "prefill": "prefill", "decode": "backend"}
"""Role -> the component that it registers as: Dynamo 1.6's names."""


@dataclass(frozen=True)
class Listed:
    """A worker as the frontend lists it."""

    id: int
    address: str
    """`host:port` of its request plane."""
    namespace: str
    component: str

    @property
    def path(self) -> str:
        return f"{self.namespace}/{self.component}"


@dataclass(frozen=True)
class Registry:
    """The planned workers, as a frontend lists them."""

    planned: tuple[ProofInstance, ...]
    ids: dict[str, int]
    """Service -> its newest worker id: those of earlier lives stay listed until their leases end."""
    elsewhere: dict[str, str]
    """Service that is listed, but not as planned -> how it is."""
    leaving: tuple[str, ...]
    """Addresses outside the plan."""

    @property
    def missing(self) -> tuple[ProofInstance, ...]:
        return tuple(instance for instance in self.planned if instance.service not in self.ids)

    def __str__(self) -> str:
        desired = Counter(instance.role for instance in self.planned)
        listed = desired - Counter(instance.role for instance in self.missing)
        counts = ", ".join(f"{listed[role]} of {count} {role}" for role, count in desired.items())
        parts = [f"{counts} workers"]
        if self.missing:
            parts.append("waiting for " + ", ".join(self._awaited(instance) for instance in self.missing))
        if self.leaving:
            parts.append("leaving: " + ", ".join(self.leaving))
        return "; ".join(parts)

    def _awaited(self, instance: ProofInstance) -> str:
        text = f"{instance.service} on {instance.node} ({instance.request_plane})"
        listing = self.elsewhere.get(instance.service)
        return f"{text}, listed as {listing}" if listing else text


def compare(planned: Iterable[ProofInstance], namespace: str, listed: Iterable[Listed]) -> Registry:
    """Find each planned worker in the list by address, role and namespace."""
    planned = tuple(planned)
    listed = tuple(listed)
    ids: dict[str, int] = {}
    elsewhere: dict[str, str] = {}
    for instance in planned:
        path = f"{namespace}/{COMPONENTS[instance.role]}"
        candidates = [worker for worker in listed if worker.address == instance.request_plane]
        worker_ids = [worker.id for worker in candidates if worker.path == path]
        if worker_ids:
            ids[instance.service] = max(worker_ids)  # a worker's id is its lease's, and etcd counts those up
        elif candidates:
            newest = max(candidates, key=lambda worker: worker.id)
            elsewhere[instance.service] = f"{newest.path} instead of {path}"
    addresses = {instance.request_plane for instance in planned}
    leaving = sorted({worker.address for worker in listed} - addresses)
    return Registry(planned, ids, elsewhere, tuple(leaving))
