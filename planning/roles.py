"""The worker roles of a stack file, and what follows from the file as a whole."""

from nodectl.manifest import ModelSource, Variant
from planning.values import WorkerRole
from settings.models import EngineKind, RoleSettings, Settings


def worker_roles(settings: Settings) -> list[tuple[WorkerRole, RoleSettings]]:
    """Return the pattern's worker roles in the order in which they are placed."""
    roles = settings.roles
    every: list[tuple[WorkerRole, RoleSettings | None]] = [
        ("aggregated", roles.aggregated),
        ("prefill", roles.prefill),
        ("decode", roles.decode),
    ]
    return [(name, role) for name, role in every if role is not None]


def gpus_of(role: RoleSettings) -> int:
    """Return how many GPUs one engine of a role takes."""
    return role.parallelism.tensor * role.parallelism.pipeline


def engine_kind(settings: Settings) -> EngineKind:
    """Return what serves the model: simulated on this machine unless the stack file says otherwise."""
    return settings.engine or ("mocker" if settings.target.kind == "local" else "vllm")


def model_source(settings: Settings) -> ModelSource:
    """Return where nodes take the model from."""
    model = settings.model
    return ModelSource(kind=model.source, name=model.uri or model.path or model.name, revision=model.revision)


def variant(settings: Settings) -> Variant:
    """Return what the nodes' runtime must be able to serve with."""
    if engine_kind(settings) == "mocker":
        return "mocker"
    target = settings.target
    return "cpu" if target.kind != "aws" and target.device == "cpu" else "gpu"
