"""The specification of `nodectl probe`: what a node must be able to reach."""

from dataclasses import dataclass, field

from nodectl.contract.codec import SPARSE
from nodectl.contract.forms import HostPort, Positive


@dataclass(frozen=True, kw_only=True)
class ProbeTarget:
    """A port of another node that a node needs."""

    node: str
    endpoint: HostPort
    why: str


@dataclass(frozen=True, kw_only=True)
class Transfer:
    """A worker of the node whose log must show that it moves KV blocks by `backend`, NIXL's name of it."""

    service: str
    backend: str
    health: str
    """URL that answers 200 when the worker is healthy."""
    seconds: Positive
    """Seconds that its start may take."""
    revision: str
    """Digest of how the worker is started: another one is looked at anew."""


@dataclass(frozen=True, kw_only=True)
class ProbeSpec:
    """The endpoints that one node must be able to connect to, and its workers' transfer backends."""

    node: str
    targets: list[ProbeTarget] = field(default_factory=list, metadata=SPARSE)
    seconds: Positive
    """Seconds that a connection may take to become possible."""
    transfers: list[Transfer] = field(default_factory=list, metadata=SPARSE)
