"""What an instance's own hardware changes for its services: EFA between nodes, NVMe below what they cache."""

from collections.abc import Mapping
from typing import Final

from nodectl.manifest import MachineLibrary
from planning.aws.catalogue import INSTANCE_TYPES
from planning.aws.interfaces import efa
from planning.roles import engine_kind
from settings.aws import AwsTarget
from settings.models import Settings

NO_RDMA: Final = ("g4dn", "g5", "p3dn")
"""Families whose EFA cannot read a peer's memory: libfabric ends who asks for it there, and NIXL needs it."""

BACKEND: Final = "LIBFABRIC"
"""NIXL's name of what moves KV blocks over EFA."""

LIBRARIES: Final[list[MachineLibrary]] = ["libfabric.so.1", "libhwloc.so.15"]
"""What the LIBFABRIC backend of pip's NIXL takes from the machine."""

LIBRARY_PATH: Final = "/opt/amazon/efa/lib:/opt/amazon/ofi-nccl/lib:/opt/amazon/ofi-nccl/lib/x86_64-linux-gnu"
"""Where AWS's EFA installer, and so its Deep Learning AMI, puts libfabric and NCCL's plugin for it."""


def uses_efa(settings: Settings) -> bool:
    """Return whether vLLM's engines talk over EFA: they do where the instance type has it."""
    target = settings.target
    return isinstance(target, AwsTarget) and engine_kind(settings) == "vllm" and efa(target)


def uses_libfabric(settings: Settings) -> bool:
    """Return whether NIXL moves KV blocks over EFA. Where nothing says so it silently takes the slow UCX."""
    return settings.pattern == "disagg" and uses_efa(settings) and _has_rdma(settings)


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
    target = settings.target
    if engine_kind(settings) != "vllm":
        return False
    return isinstance(target, AwsTarget) and INSTANCE_TYPES[target.instance_type].nvme_gb > 0


def _has_rdma(settings: Settings) -> bool:
    target = settings.target
    return isinstance(target, AwsTarget) and target.instance_type.split(".")[0] not in NO_RDMA
