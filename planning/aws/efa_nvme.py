"""Changes to services by the hardware of their instance: EFA between nodes, NVMe below what they cache."""

from collections.abc import Iterator, Mapping
from typing import Final

from nodectl.contract.runtime import MachineLibrary
from planning.aws.capability import too_old
from planning.aws.interfaces import efa
from planning.aws.target import aws_target, gpu_type
from planning.roles import engine_kind
from settings.models import Settings
from settings.problems import Problem

BACKEND: Final = "LIBFABRIC"
"""NIXL's name of what moves KV blocks over EFA."""

LIBRARIES: Final[list[MachineLibrary]] = ["libfabric.so.1", "libhwloc.so.15"]
"""Libraries that the LIBFABRIC backend of pip's NIXL takes from the machine."""

LIBRARY_PATH: Final = "/opt/amazon/efa/lib:/opt/amazon/ofi-nccl/lib:/opt/amazon/ofi-nccl/lib/x86_64-linux-gnu"
"""Folders of libfabric and NCCL's plugin for it: of AWS's EFA installer, and so of its Deep Learning AMI."""


def uses_efa(settings: Settings) -> bool:
    """Return whether vLLM's engines talk over EFA: they do where the instance type has it."""
    target = aws_target(settings)
    return target is not None and engine_kind(settings) == "vllm" and efa(target)


def uses_libfabric(settings: Settings) -> bool:
    """Return whether NIXL moves KV blocks over EFA: only where EFA reads the GPUs' memory.

    Where nothing says so it silently takes the slow UCX.
    """
    return _moves_blocks(settings) and uses_efa(settings) and _has_rdma(settings)


def problems(settings: Settings) -> Iterator[Problem]:
    """Find an EFA that is asked for and would not move KV blocks."""
    instance, target = gpu_type(settings), aws_target(settings)
    requested = target is not None and target.efa is True and _moves_blocks(settings)
    if requested and instance and instance.efa_cards and not (instance.gpudirect_rdma or too_old(instance)):
        yield Problem(
            "target.efa",
            f"{instance.name} has EFA without GPUDirect RDMA, by which no KV block moves; remove it (NCCL "
            "uses EFA all the same, KV blocks go over TCP), or take p4d, p4de, p5… or p6…",
            "true",
        )


def notes(settings: Settings) -> Iterator[str]:
    """Say how KV blocks move where they could move faster."""
    instance = gpu_type(settings)
    if instance and _moves_blocks(settings) and not uses_libfabric(settings):
        reason = "`efa: false`" if instance.gpudirect_rdma else f"{instance.name} has no GPUDirect RDMA"
        yield f"KV blocks move by UCX over TCP, slower than over EFA: {reason}"


def efa_environment(settings: Settings) -> Mapping[str, str]:
    """Return what libfabric and NCCL need to find EFA, for every worker; an image has its own libraries."""
    if not uses_efa(settings):
        return {}
    env = {"FI_PROVIDER": "efa"}
    if _has_rdma(settings):
        env["FI_EFA_USE_DEVICE_RDMA"] = "1"
    if settings.runtime.kind != "container":
        env["LD_LIBRARY_PATH"] = LIBRARY_PATH
    return env


def has_nvme(settings: Settings) -> bool:
    """Return whether nodes with GPUs cache on an instance store; simulated engines have little to cache."""
    instance = gpu_type(settings)
    return engine_kind(settings) == "vllm" and instance is not None and instance.nvme_gb > 0


def _moves_blocks(settings: Settings) -> bool:
    return settings.pattern == "disagg" and engine_kind(settings) == "vllm"


def _has_rdma(settings: Settings) -> bool:
    instance = gpu_type(settings)
    return instance is not None and instance.gpudirect_rdma
