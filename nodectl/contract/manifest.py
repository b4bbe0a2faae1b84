"""The manifest of a node: all its services, and how they run and change.

Secrets are named, never held.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Final, Literal, Union
from urllib.parse import urlsplit

from nodectl.contract.codec import SPARSE, encode
from nodectl.contract.firewall import Firewall
from nodectl.contract.forms import Count, EnvName, FileName, HostPort, Positive, ServiceName, between, pattern
from nodectl.contract.runtime import RuntimeSpec

if TYPE_CHECKING:
    JsonValue = Union[None, bool, int, float, str, list["JsonValue"], dict[str, "JsonValue"]]  # noqa: UP007
else:
    JsonValue = object  # the codec's word for any JSON

SCHEMA: Final = 1
"""Manifest schema that this nodectl reads; it refuses any other."""

FlagValue = bool | int | float | str | list[JsonValue] | dict[str, JsonValue]
"""Value of a command-line flag.

`True` is the bare flag, `False` its `--no-` form, a number or text one argument, a list one argument an
item, a mapping one argument of compact JSON. A name of one letter has one dash. Text may hold the tokens of
`nodectl.contract.tokens` (`${data}`, `${models}`, `${s3}`, `${model}`), which become folders on the node.
"""


@dataclass(frozen=True, kw_only=True)
class Ready:
    """The sign that a service is ready: exactly one of `http`, `tcp`, `process`."""

    http: str | None = None
    """URL that answers 200 when the service is healthy."""
    tcp: HostPort | None = None
    """`host:port` that accepts a connection."""
    process: bool = False
    """Nothing listens: that the process lives is all."""
    seconds: Positive
    """Seconds that a start may take before it counts as failed."""

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Address and port that show it; None for a process alone."""
        url = urlsplit(self.http or f"//{self.tcp or ''}")
        return (url.hostname, url.port) if url.hostname and url.port else None


@dataclass(frozen=True, kw_only=True)
class Stop:
    """The stop of a service: SIGTERM to its main process, SIGKILL to what is left after `seconds`."""

    seconds: Positive


@dataclass(frozen=True, kw_only=True)
class Gang:
    """The ranks of one engine that spans nodes: they start and stop together."""

    id: str
    """Name of the engine."""
    rank: Count
    size: Annotated[int, between(2)]
    master: HostPort
    """`host:port` of rank 0's rendezvous, free before rank 0 starts."""
    etcd: HostPort
    """`host:port` of the etcd that holds the gang's epoch."""
    revision: str = ""
    """Digest of how every rank is started: they change together."""


@dataclass(frozen=True, kw_only=True)
class Gate:
    """Tells the balancer whether to send a frontend requests: yes, not yet, no more (see `verbs.gate`)."""

    listen: HostPort
    """`host:port` that the balancer asks at."""
    frontend: str
    """Base URL of the frontend."""

    @property
    def ready(self) -> str:
        """URL that answers 200 as soon as the balancer knows that the frontend serves."""
        return f"http://{self.listen}/ready"


@dataclass(frozen=True, kw_only=True)
class Listener:
    """An endpoint that a service listens at; nobody else may when it starts."""

    key: str
    """Key of the stack file's `ports` that moves it."""
    at: HostPort
    """`host:port`; 0.0.0.0: every address of the node."""

    @property
    def endpoint(self) -> tuple[str, int]:
        """Address and port."""
        host, _, port = self.at.rpartition(":")
        return host, int(port)


@dataclass(frozen=True, kw_only=True)
class Service:
    """One process on one node."""

    module: str
    """Python module (`dynamo.vllm`) or a program that nodectl knows (`etcd`)."""
    flags: dict[str, FlagValue] = field(default_factory=dict)
    env: dict[EnvName, str] = field(default_factory=dict)
    secrets: list[EnvName] = field(default_factory=list)
    """Environment names whose values NodeSecrets wrote."""
    gpus: list[int] = field(default_factory=list)
    ready: Ready
    listens: list[Listener] = field(default_factory=list)
    """Every TCP port that it takes itself."""
    stop: Stop
    after: list[HostPort] = field(default_factory=list)
    """`host:port`s that must accept before the start."""
    files: dict[FileName, str] = field(default_factory=dict)
    """Files of these texts are put into `${data}/SERVICE` before a start."""
    reload: Literal["HUP", "USR2"] | None = None
    """Signal after which the main process reads changed `files`; none: a restart."""
    gang: Gang | None = None
    gate: Gate | None = None


@dataclass(frozen=True, kw_only=True)
class RolloutService:
    """A service of this node that others of its role can stand in for while it changes."""

    role: Literal["frontend", "aggregated", "prefill", "decode"]
    address: HostPort
    """`host:port` that it answers at; workers are listed under it by the frontends."""
    revision: str
    """The same for all of the role; what failed once is not tried elsewhere."""


@dataclass(frozen=True, kw_only=True)
class Rollout:
    """The rollout of a change to services that run: one after another, so that no request is lost."""

    stack: str = ""
    """Keeps deployments apart; who knows the stack writes it in."""
    etcd: HostPort
    """`host:port` of the etcd that holds the locks."""
    frontends: list[str]
    """Base URLs."""
    model: str
    """Served name."""
    namespace: str
    """Dynamo namespace that this generation's workers register under."""
    max_unavailable: Positive
    """Limit on the services of a role that may be down for a change at once."""
    services: dict[ServiceName, RolloutService]


@dataclass(frozen=True, kw_only=True)
class Watch:
    """The conditions under which `nodectl watch` drains or stops a machine of a cloud."""

    frontends: list[str] = field(default_factory=list)
    """The head only: base URLs; who idles is told by their metrics."""
    idle_minutes: int | None = None
    """So long after the last request all nodes end; none: never."""
    warn_minutes: Count = 0
    """Minutes from the warning to that end."""
    spot: bool = False
    """Whether the machine may be taken away at any time."""
    ends: Annotated[str, pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "YYYY-MM-DDThh:mm:ssZ")] | None = None
    """End of the capacity block that the machine is in; none: in none, or not known."""
    workers: list[HostPort] = field(default_factory=list)
    """`host:port`s at which engines with a part on this node are listed."""
    drain_seconds: Positive
    """Seconds that requests in flight may take to end."""
    etcd: HostPort
    """`host:port` of the etcd through which the head tells the others."""


@dataclass(frozen=True, kw_only=True)
class Manifest:
    """All services of one node."""

    schema: Literal[1] = SCHEMA
    node: str
    identity: str
    """Tells a machine from its successor at the same address."""
    runtime: RuntimeSpec
    generation: str
    """Workers of different generations never pair."""
    services: dict[ServiceName, Service]
    firewall: Firewall | None = None
    """None: the host's own is left as it is."""
    rollout: Rollout | None = None
    """Without it every change is made at once."""
    watch: Watch | None = field(default=None, metadata=SPARSE)
    """None: the machine is its owner's affair."""


def digest(manifests: Mapping[str, Manifest]) -> str:
    """Return a digest that changes exactly when any node's manifest does."""
    return hashlib.sha256(json.dumps(encode(manifests), sort_keys=True).encode()).hexdigest()[:16]
