"""Refuse types of numbers that the GPUs of an instance type cannot compute, by compute capability."""

from collections.abc import Iterator
from typing import Final

from planning.aws.catalogue import InstanceType
from planning.aws.gpus import BFLOAT16_FROM, DRIVER_FROM, VALUES_FROM, Capability, text
from planning.aws.target import gpu_type
from planning.roles import engine_kind, worker_roles
from settings.models import RoleSettings, Settings
from settings.problems import Problem

_REMEDY: Final = {
    "dtype": "write `dtype: float16`",
    "kv-cache-dtype": "remove it",
    "attention-backend": "remove it",
}


def too_old(instance: InstanceType) -> str | None:
    """Return why nothing that is installed here runs on the GPUs of a type; None where it does."""
    if instance.compute_capability is None or instance.compute_capability >= DRIVER_FROM:
        return None
    capability = text(instance.compute_capability)
    return (
        f"its {instance.gpu} has compute capability {capability}: the driver of AWS's images and CUDA 13 "
        f"need {text(DRIVER_FROM)}; take a newer type such as g6e.12xlarge or p4d.24xlarge"
    )


def problems(settings: Settings) -> Iterator[Problem]:
    """Find flags of vLLM that ask for more than the GPUs can."""
    instance = _computing_type(settings)
    if instance is None or instance.compute_capability is None or too_old(instance):
        return
    for name, role in worker_roles(settings):
        for flag, minimum in _needed(role):
            if instance.compute_capability < minimum:
                yield Problem(
                    f"roles.{name}.flags.{flag}",
                    f"needs compute capability {text(minimum)}, and {instance.name}'s {instance.gpu} has "
                    f"{text(instance.compute_capability)}; {_REMEDY.get(flag, 'take another')}, "
                    "or a newer type",
                    str(role.flags[flag]),
                )


def _needed(role: RoleSettings) -> Iterator[tuple[str, Capability]]:
    """Yield the flags of a role whose value not all GPUs can, with what it needs."""
    for flag, values in VALUES_FROM.items():
        value = role.flags.get(flag)
        minimum = values.get(value) if isinstance(value, str) else None
        if minimum is not None:
            yield flag, minimum


def notes(settings: Settings) -> Iterator[str]:
    """Say in what a model of bfloat16 is computed where nobody wrote it."""
    instance = _computing_type(settings)
    if (
        instance is None
        or instance.compute_capability is None
        or instance.compute_capability >= BFLOAT16_FROM
    ):
        return
    if any("dtype" not in role.flags for _, role in worker_roles(settings)):
        yield f"{instance.gpu} has no bfloat16: vLLM computes such models in float16"


def _computing_type(settings: Settings) -> InstanceType | None:
    """Return the type of the nodes with real engines; None elsewhere, and where it is not known."""
    return gpu_type(settings) if engine_kind(settings) == "vllm" else None
