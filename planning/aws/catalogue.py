"""The hardware of EC2's instance types: GPUs and their memory, network cards with EFA, disks, CPUs.

`catalogue.json` beside this file is what EC2's DescribeInstanceTypes says, kept to what planning uses, and
what `planning.aws.gpus` adds; `scripts/generate-catalogue` writes it anew. It holds every x86-64 type with
whole NVIDIA GPUs, and the families without GPUs that a dedicated head may be of.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Final

from planning.aws import gpus as known_gpus
from planning.aws.gpus import Capability

FILE: Final = Path(__file__).with_name("catalogue.json")
REGENERATE: Final = "scripts/generate-catalogue"

HEAD_FAMILIES: Final = ("c6i", "c7i", "m6i", "m7i", "m8i", "r7i")
"""Families without GPUs for a head: x86-64, as the GPU types are, so that one image boots on both."""


@dataclass(frozen=True)
class InstanceType:
    """One type, as EC2 describes it."""

    name: str
    vcpus: int
    """The unit in which the quotas of an account count."""
    memory_mib: int
    gpus: int
    """0: a type that a dedicated head may have."""
    gpu: str
    """`H100`; empty without GPUs."""
    gpu_memory_mib: int
    """Of one GPU."""
    compute_capability: Capability | None
    """Of its GPUs; None without GPUs, and of a GPU that `planning.aws.gpus` does not know."""
    gpudirect_rdma: bool
    """Whether EFA reads and writes the GPUs' memory."""
    network_cards: int
    efa_cards: tuple[int, ...]
    """The network cards that an EFA interface can be on; none without EFA."""
    nvme_gb: int
    """Instance store in all, GB; 0 without."""
    usage: tuple[str, ...]
    """Ways to buy capacity: `on-demand`, `spot`, `capacity-block`."""

    @property
    def family(self) -> str:
        """Return what stands before the dot: `p5`."""
        return self.name.split(".")[0]


def instance_type(description: Mapping[str, Any]) -> InstanceType | None:
    """Return one entry of DescribeInstanceTypes; None for a type that no node can be of."""
    name = description["InstanceType"]
    gpus = description.get("GpuInfo", {}).get("Gpus", [])
    if "x86_64" not in description["ProcessorInfo"]["SupportedArchitectures"] or description["BareMetal"]:
        return None
    if gpus:
        # a Count of 0 is part of a GPU, which vLLM's arithmetic does not hold for
        if len(gpus) != 1 or gpus[0]["Manufacturer"] != "NVIDIA" or not gpus[0]["Count"]:
            return None
    elif name.split(".")[0] not in HEAD_FAMILIES:
        return None
    network = description["NetworkInfo"]
    efa_cards = _efa_cards(network)
    return InstanceType(
        name=name,
        vcpus=description["VCpuInfo"]["DefaultVCpus"],
        memory_mib=description["MemoryInfo"]["SizeInMiB"],
        gpus=gpus[0]["Count"] if gpus else 0,
        gpu=gpus[0]["Name"] if gpus else "",
        gpu_memory_mib=gpus[0]["MemoryInfo"]["SizeInMiB"] if gpus else 0,
        compute_capability=known_gpus.COMPUTE_CAPABILITY.get(gpus[0]["Name"]) if gpus else None,
        gpudirect_rdma=bool(gpus and efa_cards) and known_gpus.has_rdma(name.split(".")[0]),
        network_cards=network["MaximumNetworkCards"],
        efa_cards=efa_cards,
        nvme_gb=description.get("InstanceStorageInfo", {}).get("TotalSizeInGB", 0),
        usage=tuple(sorted(description["SupportedUsageClasses"])),
    )


def text(types: Mapping[str, InstanceType]) -> str:
    """Return the data file: a line a type, so that a change of one is a line in a diff."""
    lines = [f" {json.dumps(name)}: {json.dumps(_fields(types[name]))}" for name in sorted(types)]
    return "{\n" + ",\n".join(lines) + "\n}\n"


def near(name: str, *, gpus: bool) -> list[str]:
    """Return the types that were most likely meant by `name`: with GPUs, or for a dedicated head."""
    candidates = [instance.name for instance in INSTANCE_TYPES.values() if bool(instance.gpus) == gpus]
    family = [candidate for candidate in candidates if candidate.startswith(name.split(".", maxsplit=1)[0])]
    return get_close_matches(name, family or candidates, n=4, cutoff=0.5) or family[:4]


def _efa_cards(network: Mapping[str, Any]) -> tuple[int, ...]:
    """Return the cards with EFA; card 0 of some types has none."""
    indices = [
        card["NetworkCardIndex"] for card in network["NetworkCards"] if "efa-only" in card["InterfaceTypes"]
    ]
    return tuple(sorted(indices)) if network["EfaSupported"] else ()


def _fields(instance: InstanceType) -> dict[str, Any]:
    return {key: value for key, value in asdict(instance).items() if key != "name"}


def _read() -> Mapping[str, InstanceType]:
    entries: dict[str, dict[str, Any]] = json.loads(FILE.read_text(encoding="utf-8"))
    lists = ("compute_capability", "efa_cards", "usage")
    return {
        name: InstanceType(
            name=name, **(fields | {key: tuple(fields[key]) for key in lists if fields[key] is not None})
        )
        for name, fields in entries.items()
    }


INSTANCE_TYPES: Final = _read()
