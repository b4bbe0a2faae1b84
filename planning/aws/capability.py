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


def too_old(found: InstanceType) -> str | None:
    """Return why nothing that is installed here runs on the GPUs of a type; None where it does."""
    if found.compute_capability is None or found.compute_capability >= DRIVER_FROM:
        return None
    has = text(found.compute_capability)
    return (
        f"its {found.gpu} has compute capability {has}: the driver of AWS's images and CUDA 13 need "
        f"{text(DRIVER_FROM)}; take a newer type such as g6e.12xlarge or p4d.24xlarge"
    )


def problems(settings: Settings) -> Iterator[Problem]:
    """Find flags of vLLM that ask for more than the GPUs can."""
    found = _computing_type(settings)
    if found is None or found.compute_capability is None or too_old(found):
        return
    for name, role in worker_roles(settings):
        for flag, needed in _needed(role):
            if found.compute_capability < needed:
                yield Problem(
                    f"roles.{name}.flags.{flag}",
                    f"needs compute capability {text(needed)}, and {found.name}'s {found.gpu} has "
                    f"{text(found.compute_capability)}; {_REMEDY.get(flag, 'take another')}, or a newer type",
                    str(role.flags[flag]),
                )


def _needed(role: RoleSettings) -> Iterator[tuple[str, Capability]]:
    """Yield the flags of a role whose value not all GPUs can, with what it needs."""
    for flag, values in VALUES_FROM.items():
        given = role.flags.get(flag)
        needed = values.get(given) if isinstance(given, str) else None
        if needed is not None:
            yield flag, needed


def notes(settings: Settings) -> Iterator[str]:
    """Say in what a model of bfloat16 is computed where nobody wrote it."""
    found = _computing_type(settings)
    if found is None or found.compute_capability is None or found.compute_capability >= BFLOAT16_FROM:
        return
    if any("dtype" not in role.flags for _, role in worker_roles(settings)):
        yield f"{found.gpu} has no bfloat16: vLLM computes such models in float16"


def _computing_type(settings: Settings) -> InstanceType | None:
    """Return the type of the nodes with real engines; None elsewhere, and where it is not known."""
    return gpu_type(settings) if engine_kind(settings) == "vllm" else None
