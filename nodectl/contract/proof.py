"""The specification of the proof, and its result."""

from dataclasses import dataclass, field
from typing import Literal

from nodectl.contract.codec import SPARSE
from nodectl.contract.forms import Positive


@dataclass(frozen=True, kw_only=True)
class ProofInstance:
    """One worker that the plan wants: where it must be listed, and whom to ask about its health."""

    service: str
    """Name of the service in its node's manifest, such as `prefill-0`."""
    node: str
    address: str
    role: Literal["aggregated", "prefill", "decode"]
    request_plane: str
    """`host:port` that the frontend's list must show for it."""
    system: str
    """`host:port` of `/health` and `/metrics`."""
    headless: dict[str, str] = field(default_factory=dict, metadata=SPARSE)
    """Service of each other rank of the engine -> its node: no HTTP, judged by its engine."""


@dataclass(frozen=True, kw_only=True)
class ProofSpec:
    """The specification of the proof, which lets `up` succeed: addresses of the plan, no secrets."""

    schema: Literal[1] = 1
    digest: str
    """Of all manifests: changes exactly when a proof is due."""
    nats: str
    """`nats://host:port`."""
    etcd: str
    """`host:port`."""
    frontends: list[str]
    """Base URLs; the first is the one that is proved in full."""
    endpoint: str
    """Base URL that users are given."""
    model: str
    """Served name."""
    engine: Literal["vllm", "mocker"]
    router: str
    """The frontend's router mode; `kv` must show cache hits."""
    namespace: str
    """Dynamo namespace that the planned instances register under."""
    instances: list[ProofInstance]
    seconds: Positive
    """Bound on the whole proof."""
    node_roots: dict[str, str] = field(default_factory=dict)
    """Local nodes only: node -> its folder, to show its logs on failure."""
    stack: str = ""
    """Nodes on other machines only: to name the command for logs."""


@dataclass(frozen=True, kw_only=True)
class Check:
    """One line of the proof."""

    name: str
    ok: bool
    seconds: float
    seen: str
    """One line: what was seen, in words."""


@dataclass(frozen=True, kw_only=True)
class ProofResult:
    """The result of a proof."""

    ok: bool
    provedAt: str  # noqa: N815 - the stack output's own spelling
    """UTC, ISO 8601."""
    digest: str
    seconds: float
    checks: list[Check]
