"""The contracts between planning and the nodes: manifest, runtime and proof, read and written by both sides.

Everything here crosses a wire as JSON. Secrets are named, never held.
"""

import hashlib
import ipaddress
import json
from collections.abc import Mapping
from typing import Annotated, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, JsonValue

from nodectl.versions import NODE

SCHEMA: Final = 1
"""Manifest schema that this nodectl reads; it refuses any other."""

ServiceName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]*$")]
FileName = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")]
EnvName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Source = Annotated[str, AfterValidator(lambda text: str(ipaddress.ip_network(text)))]
HostPort = Annotated[str, Field(pattern=r"^[^\s/:]+:[0-9]+$")]

Variant = Literal["mocker", "cpu", "gpu"]
"""Engines of a runtime: simulated ones, vLLM on the CPU, vLLM on GPUs."""

MachineProgram = Literal["haproxy"]
"""Services that are programs of the machine, which no package index carries (`nodectl.common.programs`)."""

MACHINE_PROGRAMS: Final = frozenset(get_args(MachineProgram))

MachineLibrary = Literal["libfabric.so.1", "libhwloc.so.15"]
"""Shared libraries that NIXL's LIBFABRIC backend takes from the machine (`nodectl.runtime.libraries`)."""

FlagValue = bool | int | float | str | list[JsonValue] | dict[str, JsonValue]
"""Value of a command-line flag.

`True` is the bare flag, `False` its `--no-` form, a number or text one argument, a list one argument an
item, a mapping one argument of compact JSON. A name of one letter has one dash. Text may hold the tokens of
`nodectl.contract.tokens` (`${data}`, `${models}`, `${s3}`, `${model}`), which become folders on the node.
"""


class Wire(BaseModel):
    """Base of everything that crosses the wire: frozen, unknown keys refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Ready(Wire):
    """The sign that a service is ready: exactly one of `http`, `tcp`, `process`."""

    http: str | None = Field(default=None, description="URL that answers 200 when the service is healthy")
    tcp: HostPort | None = Field(default=None, description="`host:port` that accepts a connection")
    process: bool = Field(default=False, description="nothing listens: that the process lives is all")
    seconds: int = Field(gt=0, description="how long a start may take before it counts as failed")

    @property
    def endpoint(self) -> tuple[str, int] | None:
        """Address and port that show it; None for a process alone."""
        url = urlsplit(self.http or f"//{self.tcp or ''}")
        return (url.hostname, url.port) if url.hostname and url.port else None


class Stop(Wire):
    """How a service is stopped: SIGTERM to its main process, SIGKILL to what is left after `seconds`."""

    seconds: int = Field(gt=0)


class Gang(Wire):
    """The ranks of one engine that spans nodes: they start and stop together."""

    id: str = Field(description="name of the engine")
    rank: int = Field(ge=0)
    size: int = Field(gt=1)
    master: HostPort = Field(description="`host:port` of rank 0's rendezvous, free before rank 0 starts")
    etcd: HostPort = Field(description="`host:port` of the etcd that holds the gang's epoch")
    revision: str = Field(default="", description="digest of how every rank is started: they change together")


class Gate(Wire):
    """Tells the balancer whether to send a frontend requests: yes, not yet, no more (see `verbs.gate`)."""

    listen: HostPort = Field(description="`host:port` that the balancer asks at")
    frontend: str = Field(description="base URL of the frontend")

    @property
    def ready(self) -> str:
        """URL that answers 200 as soon as the balancer knows that the frontend serves."""
        return f"http://{self.listen}/ready"


class Listener(Wire):
    """Where a service listens; nobody else may when it starts."""

    key: str = Field(description="key of the stack file's `ports` that moves it")
    at: HostPort = Field(description="`host:port`; 0.0.0.0: every address of the node")

    @property
    def endpoint(self) -> tuple[str, int]:
        """Address and port."""
        host, _, port = self.at.rpartition(":")
        return host, int(port)


class Service(Wire):
    """One process on one node."""

    module: str = Field(description="Python module (`dynamo.vllm`) or a program that nodectl knows (`etcd`)")
    flags: dict[str, FlagValue] = Field(default_factory=dict)
    env: dict[EnvName, str] = Field(default_factory=dict)
    secrets: list[EnvName] = Field(
        default_factory=list, description="environment names whose values NodeSecrets wrote"
    )
    gpus: list[int] = Field(default_factory=list)
    ready: Ready
    listens: list[Listener] = Field(default_factory=list, description="every TCP port that it takes itself")
    stop: Stop
    after: list[HostPort] = Field(
        default_factory=list, description="`host:port`s that must accept before the start"
    )
    files: dict[FileName, str] = Field(
        default_factory=dict, description="files of these texts are put into `${data}/SERVICE` before a start"
    )
    reload: Literal["HUP", "USR2"] | None = Field(
        default=None, description="signal after which the main process reads changed `files`; none: a restart"
    )
    gang: Gang | None = None
    gate: Gate | None = None


class ModelSource(Wire):
    """Where a node takes the model from."""

    kind: Literal["hub", "s3", "path", "generated"]
    name: str = Field(description="hub id, s3://bucket/folder, folder on the node, or generated model's name")
    revision: str | None = None
    endpoint: str | None = Field(
        default=None, exclude_if=lambda url: url is None, description="URL of a mirror of the hub"
    )


class Proxy(Wire):
    """The proxy of installs; nothing else uses it, and services know of none."""

    http: str | None = Field(default=None, description="URL of the proxy for http")
    https: str | None = Field(default=None, description="URL of the proxy for https")
    no: list[str] = Field(default_factory=list, description="hosts, domains and ranges that need none")


class Packages(Wire):
    """Where Python packages come from: at most one of both, else pip's and uv's own configuration decides."""

    index: str | None = Field(default=None, description="URL of a package index")
    wheels: str | None = Field(default=None, description="folder of wheels on the node; no index is asked")


class VenvEngine(Wire):
    """The engine in an environment that nodectl makes from the version lock, as nodectl itself."""

    kind: Literal["venv"] = "venv"


class PreinstalledEngine(Wire):
    """The engine in an environment that the node has."""

    kind: Literal["preinstalled"] = "preinstalled"
    path: str = Field(description="the environment's folder")
    any_versions: bool = Field(default=False, description="take it with other versions than the lock's")


class ContainerEngine(Wire):
    """The engine in containers of an image."""

    kind: Literal["container"] = "container"
    image: str
    program: Literal["auto", "podman", "docker"] = "auto"


EngineSource = Annotated[VenvEngine | PreinstalledEngine | ContainerEngine, Field(discriminator="kind")]


class StoreRelease(Wire):
    """An official archive of NATS or etcd."""

    url: str
    sha256: str = Field(description="checksum of the archive, in hexadecimal")


class Stores(Wire):
    """Where NATS and etcd come from: nodectl's environment, the distribution's packages, or releases."""

    source: Literal["bundled", "distribution", "release"] = "bundled"
    releases: dict[str, StoreRelease] = Field(default_factory=dict, description="by program, for `release`")


class Lifetime(Wire):
    """When the machine powers itself off, counted from each boot, whatever becomes of all else on it."""

    minutes: int = Field(gt=0)
    warn_minutes: int = Field(ge=0, description="how long before that it is said")


class RuntimeSpec(Wire):
    """The specification of `nodectl install`: what it puts on a node."""

    variant: Variant
    lock: str = Field(description="changes when the versions that are installed or expected do")
    programs: list[MachineProgram | Literal["nft"]] = Field(
        default_factory=list, description="programs that the machine itself must have"
    )
    model: ModelSource | None = Field(
        description="null where no engine runs: frontends fetch what they need of it from workers"
    )
    engine: EngineSource = VenvEngine()
    packages: Packages = Packages()
    proxy: Proxy | None = Field(default=None, exclude_if=lambda one: one is None)
    stores: Stores | None = Field(default=Stores(), description="null where neither NATS nor etcd runs")
    libraries: list[MachineLibrary] = Field(
        default_factory=list,
        exclude_if=lambda names: not names,
        description="shared libraries that the machine itself must have",
    )
    cache: Literal["nvme"] | None = Field(
        default=None,
        exclude_if=lambda kind: kind is None,
        description="`nvme`: environments and models lie on the machine's instance store",
    )
    lifetime: Lifetime | None = Field(
        default=None, exclude_if=lambda one: one is None, description="none: it runs until somebody ends it"
    )

    @property
    def environment(self) -> str:
        """Return the variant whose environment nodectl itself runs in: that of the engine, or one without."""
        return self.variant if self.engine.kind == "venv" else NODE


class Opening(Wire):
    """TCP ports of a node, `first` to `last`, and who may connect to them."""

    first: int = Field(ge=1, le=65535)
    last: int = Field(ge=1, le=65535)
    sources: list[Source] = Field(description="addresses and ranges; none: anybody")
    group: bool = Field(default=False, description="the sources are other nodes of the deployment")
    why: list[str]


class Firewall(Wire):
    """The connections that a node accepts; a host refuses every other one but SSH."""

    openings: list[Opening]


class RolloutService(Wire):
    """A service of this node that others of its role can stand in for while it changes."""

    role: Literal["frontend", "aggregated", "prefill", "decode"]
    address: HostPort = Field(description="where it answers; workers are listed under it by the frontends")
    revision: str = Field(description="the same for all of the role; what failed once is not tried elsewhere")


class Rollout(Wire):
    """How a change reaches services that run: one after another, so that no request is lost."""

    stack: str = Field(default="", description="keeps deployments apart; who knows the stack writes it in")
    etcd: HostPort = Field(description="`host:port` of the etcd that holds the locks")
    frontends: list[str] = Field(description="base URLs")
    model: str = Field(description="served name")
    namespace: str = Field(description="Dynamo namespace that this generation's workers register under")
    max_unavailable: int = Field(gt=0, description="how many of a role may be down for a change at once")
    services: dict[ServiceName, RolloutService]


class Watch(Wire):
    """The conditions under which `nodectl watch` drains or stops a machine of a cloud."""

    frontends: list[str] = Field(
        default_factory=list, description="the head only: base URLs; who idles is told by their metrics"
    )
    idle_minutes: int | None = Field(
        default=None, description="so long after the last request all nodes end; none: never"
    )
    warn_minutes: int = Field(default=0, ge=0, description="how long before that it is said")
    spot: bool = Field(default=False, description="whether the machine may be taken away at any time")
    ends: str | None = Field(
        default=None,
        pattern=r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
        description="when the capacity block that the machine is in ends; none: in none, or not known",
    )
    workers: list[HostPort] = Field(
        default_factory=list, description="where engines with a part on this node are listed"
    )
    drain_seconds: int = Field(gt=0, description="how long requests in flight may take to end")
    etcd: HostPort = Field(description="`host:port` of the etcd through which the head tells the others")


class Manifest(Wire):
    """All services of one node."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = SCHEMA
    node: str
    identity: str = Field(description="tells a machine from its successor at the same address")
    runtime: RuntimeSpec
    generation: str = Field(description="workers of different generations never pair")
    services: dict[ServiceName, Service]
    firewall: Firewall | None = Field(default=None, description="none: the host's own is left as it is")
    rollout: Rollout | None = Field(default=None, description="without it every change is made at once")
    watch: Watch | None = Field(
        default=None,
        exclude_if=lambda one: one is None,
        description="none: the machine is its owner's affair",
    )

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)


class ProofInstance(Wire):
    """One worker that the plan wants: where it must be listed, and whom to ask about its health."""

    service: str = Field(description="name of the service in its node's manifest, such as `prefill-0`")
    node: str
    address: str
    role: Literal["aggregated", "prefill", "decode"]
    request_plane: str = Field(description="`host:port` that the frontend's list must show for it")
    system: str = Field(description="`host:port` of `/health` and `/metrics`")
    headless: list[str] = Field(
        default_factory=list,
        exclude_if=lambda services: not services,
        description="services of the engine's other ranks, which have no HTTP",
    )


class ProofSpec(Wire):
    """The specification of the proof, which lets `up` succeed: addresses of the plan, no secrets."""

    schema_: Annotated[Literal[1], Field(alias="schema")] = SCHEMA
    digest: str = Field(description="of all manifests: changes exactly when a proof is due")
    nats: str = Field(description="`nats://host:port`")
    etcd: str = Field(description="`host:port`")
    frontends: list[str] = Field(description="base URLs; the first is the one that is proved in full")
    endpoint: str = Field(description="base URL that users are given")
    model: str = Field(description="served name")
    engine: Literal["vllm", "mocker"]
    router: str = Field(description="the frontend's router mode; `kv` must show cache hits")
    namespace: str = Field(description="Dynamo namespace that the planned instances register under")
    instances: list[ProofInstance]
    headless: dict[str, str] = Field(
        default_factory=dict,
        description="headless rank's service name -> its node: no HTTP, judged by its engine",
    )
    seconds: int = Field(gt=0, description="bound on the whole proof")
    node_roots: dict[str, str] = Field(
        default_factory=dict, description="local nodes only: node -> its folder, to show its logs on failure"
    )
    stack: str = Field(default="", description="nodes on other machines only: to name the command for logs")

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)


class Check(Wire):
    """One line of the proof."""

    name: str
    ok: bool
    seconds: float
    seen: str = Field(description="one line: what was seen, in words")


class ProofResult(Wire):
    """The result of a proof."""

    ok: bool
    provedAt: str = Field(description="UTC, ISO 8601")  # noqa: N815 - the stack output's own spelling
    digest: str
    seconds: float
    checks: list[Check]


def digest(manifests: Mapping[str, Manifest]) -> str:
    """Return a digest that changes exactly when any node's manifest does."""
    body = {node: manifest.model_dump(mode="json") for node, manifest in manifests.items()}
    return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()[:16]
