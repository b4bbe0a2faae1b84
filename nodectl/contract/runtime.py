"""The specification of `nodectl install`: what a node must have before its services start."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, get_args

from nodectl.contract.codec import SPARSE
from nodectl.contract.forms import Count, EnvName, Positive
from nodectl.versions import NODE

Variant = Literal["mocker", "cpu", "gpu"]
"""Engines of a runtime: simulated ones, vLLM on the CPU, vLLM on GPUs."""

MachineProgram = Literal["haproxy"]
"""Services that are programs of the machine, which no package index carries (`nodectl.common.programs`)."""

MACHINE_PROGRAMS: Final = frozenset(get_args(MachineProgram))

RequiredProgram = Literal["haproxy", "nft"]
"""Programs that an install sees to on the machine itself."""

MachineLibrary = Literal["libfabric.so.1", "libhwloc.so.15"]
"""Shared libraries that NIXL's LIBFABRIC backend takes from the machine (`nodectl.runtime.libraries`)."""


@dataclass(frozen=True, kw_only=True)
class ModelSource:
    """The source that a node takes the model from."""

    kind: Literal["hub", "s3", "path", "generated"]
    name: str
    """Hub id, s3://bucket/folder, folder on the node, or the generated model's name."""
    revision: str | None = None
    endpoint: str | None = field(default=None, metadata=SPARSE)
    """URL of a mirror of the hub."""


@dataclass(frozen=True, kw_only=True)
class Proxy:
    """The proxy of installs; nothing else uses it, and services know of none."""

    http: str | None = None
    """URL of the proxy for http."""
    https: str | None = None
    """URL of the proxy for https."""
    no: list[str] = field(default_factory=list)
    """Hosts, domains and ranges that need none."""


@dataclass(frozen=True, kw_only=True)
class Packages:
    """The source of Python packages: at most one of both, else pip's and uv's own configuration decides."""

    index: str | None = None
    """URL of a package index."""
    wheels: str | None = None
    """Folder of wheels on the node; no index is asked."""


@dataclass(frozen=True, kw_only=True)
class VenvEngine:
    """The engine in an environment that nodectl makes from the version lock, as nodectl itself."""

    kind: Literal["venv"] = "venv"


@dataclass(frozen=True, kw_only=True)
class PreinstalledEngine:
    """The engine in an environment that the node has."""

    kind: Literal["preinstalled"] = "preinstalled"
    path: str
    """The environment's folder."""
    any_versions: bool = False
    """Whether it is taken with other versions than the lock's."""


@dataclass(frozen=True, kw_only=True)
class ContainerEngine:
    """The engine in containers of an image."""

    kind: Literal["container"] = "container"
    image: str
    program: Literal["auto", "podman", "docker"] = "auto"


EngineSource = VenvEngine | PreinstalledEngine | ContainerEngine


@dataclass(frozen=True, kw_only=True)
class StoreRelease:
    """An official archive of NATS or etcd."""

    url: str
    sha256: str
    """Checksum of the archive, in hexadecimal."""


@dataclass(frozen=True, kw_only=True)
class Stores:
    """The source of NATS and etcd: nodectl's environment, the distribution's packages, or releases."""

    source: Literal["bundled", "distribution", "release"] = "bundled"
    releases: dict[str, StoreRelease] = field(default_factory=dict)
    """By program, for `release`."""


@dataclass(frozen=True, kw_only=True)
class Lifetime:
    """The machine's own power-off, a set time after each boot, whatever becomes of all else on it."""

    minutes: Positive
    warn_minutes: Count
    """Minutes from the warning to the power-off."""


@dataclass(frozen=True, kw_only=True)
class RuntimeSpec:
    """The specification of `nodectl install`: what it puts on a node."""

    variant: Variant
    lock: str
    """Changes when the versions that are installed or expected do."""
    programs: list[RequiredProgram] = field(default_factory=list)
    """Programs that the machine itself must have."""
    model: ModelSource | None
    """None where no engine runs: frontends fetch what they need of it from workers."""
    engine: EngineSource = VenvEngine()
    packages: Packages = Packages()
    proxy: Proxy | None = field(default=None, metadata=SPARSE)
    stores: Stores | None = field(default_factory=Stores)
    """None where neither NATS nor etcd runs."""
    libraries: list[MachineLibrary] = field(default_factory=list, metadata=SPARSE)
    """Shared libraries that the machine itself must have."""
    cache: Literal["nvme"] | None = field(default=None, metadata=SPARSE)
    """`nvme`: environments and models lie on the machine's instance store."""
    lifetime: Lifetime | None = field(default=None, metadata=SPARSE)
    """None: it runs until somebody ends it."""

    @property
    def environment(self) -> str:
        """Return the variant whose environment nodectl itself runs in: that of the engine, or one without."""
        return self.variant if self.engine.kind == "venv" else NODE


@dataclass(frozen=True, kw_only=True)
class InstallSpec(RuntimeSpec):
    """A runtime, and the secrets that installing it takes: a gated model on the hub needs a token."""

    secrets: dict[EnvName, str] = field(default_factory=dict, metadata=SPARSE, repr=False)

    @classmethod
    def of(cls, runtime: RuntimeSpec, secrets: Mapping[str, str]) -> "InstallSpec":
        """Return the specification that installs `runtime`."""
        return cls(**vars(runtime), secrets=dict(secrets))
