"""The worker roles of a stack file, and what follows from the file as a whole."""

from collections.abc import Mapping
from typing import Final, Literal

from nodectl.contract.runtime import ModelSource, Variant
from planning.values import WorkerRole
from settings.models import EngineKind, RoleSettings, Settings

StoreSource = Literal["bundled", "distribution", "release"]

START_SECONDS: Final[Mapping[Variant, int]] = {"mocker": 60, "cpu": 600, "gpu": 1800}
"""Seconds a worker may take to start: simulated, a small model on few cores, 141 GB of weights from disk."""


def worker_roles(settings: Settings) -> list[tuple[WorkerRole, RoleSettings]]:
    """Return the pattern's worker roles in the order in which they are placed."""
    roles = settings.roles
    candidates: list[tuple[WorkerRole, RoleSettings | None]] = [
        ("aggregated", roles.aggregated),
        ("prefill", roles.prefill),
        ("decode", roles.decode),
    ]
    return [(name, role) for name, role in candidates if role is not None]


def gpus_of(role: RoleSettings) -> int:
    """Return how many GPUs one engine of a role takes."""
    return role.parallelism.tensor * role.parallelism.pipeline


def engine_kind(settings: Settings) -> EngineKind:
    """Return what serves the model: simulated on this machine unless the stack file says otherwise."""
    return settings.engine or ("mocker" if settings.target.on_this_machine else "vllm")


def model_source(settings: Settings) -> ModelSource:
    """Return where nodes take the model from."""
    model = settings.model
    return ModelSource(
        kind=model.source,
        name=model.uri or model.path or model.name,
        revision=model.revision,
        endpoint=model.endpoint,
    )


def variant(settings: Settings) -> Variant:
    """Return what the nodes' runtime must be able to serve with."""
    if engine_kind(settings) == "mocker":
        return "mocker"
    return "cpu" if settings.target.device == "cpu" else "gpu"


def store_source(settings: Settings) -> StoreSource:
    """Return where NATS and etcd come from: by default official releases, on this machine the bundled ones.

    The etcd of the package index may lose data in a crash.
    """
    stores = settings.runtime.stores
    downloads = stores.nats is not None or stores.etcd is not None
    bundled = settings.target.on_this_machine and not downloads
    return stores.source or ("bundled" if bundled else "release")
