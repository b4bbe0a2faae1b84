"""Every port number of a deployment, on local nodes as on real ones, from the stack file's `ports`."""

import ipaddress
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Final

from pydantic.alias_generators import to_camel

from settings.ports import EPHEMERAL, LAST, PortSettings
from settings.problems import Problem

LOCAL_MASTERS: Final = (12000, 28380)
"""Rendezvous of local engines that span nodes: torch listens on all addresses, so each needs its own."""

MAX_GPUS_PER_NODE: Final = 128
"""With many more slots the ranges of two kinds of ports would meet."""

STRIDES: Final = {"requestPlane": 10, "responseStream": 10, "system": 1, "nixl": 16, "master": 1}
"""Key of the stack file's `ports` -> how far the ports of neighbouring slots are apart.

NIXL's leaves room for what vLLM adds by itself: it counts up by data-parallel rank.
"""


@dataclass(frozen=True)
class SlotPorts:
    """Ports of the engine (or rank) in one slot of its node."""

    request_plane: int
    response_stream: int
    system: int
    nixl: int
    master: int


def of_slot(ports: PortSettings, slot: int) -> SlotPorts:
    """Return the ports of a slot. An engine's slot is its first GPU, so that nobody else's moves with it."""
    return SlotPorts(
        request_plane=ports.request_plane + STRIDES["requestPlane"] * slot,
        response_stream=ports.response_stream + STRIDES["responseStream"] * slot,
        system=ports.system + STRIDES["system"] * slot,
        nixl=ports.nixl + STRIDES["nixl"] * slot,
        master=ports.master + STRIDES["master"] * slot,
    )


def local_master(address: str) -> int:
    """Return the rendezvous port of the local node at `address`; no other node of its stack has the same.

    Nor, most likely, has one of another stack: the range's size is prime, so that all of the address counts.
    """
    first, last = LOCAL_MASTERS
    return first + int(ipaddress.IPv4Address(address)) % (last - first + 1)


def frontend(ports: PortSettings, frontends: int) -> int:
    """Return the port of each of so many frontends."""
    return ports.frontend if frontends == 1 else ports.balanced_frontend


def problems(ports: PortSettings, gpus: int, *, local_ranks: bool) -> Iterator[Problem]:
    """Find numbers that two kinds of ports of a node with so many GPUs would both have, or that are none.

    All kinds are held against each other, whatever runs where: what a stack runs changes more often than its
    ports. Of two that meet, the one that the stack file names is told.
    """
    ranges = {key: _numbers(key, first, gpus) for key, first in ports.model_dump(by_alias=True).items()}
    if local_ranks:
        ranges["master"] = range(LOCAL_MASTERS[0], LOCAL_MASTERS[1] + 1)
    explicit_keys = {to_camel(name) for name in ports.model_fields_set}
    for key, numbers in ranges.items():
        if _beyond(numbers):
            first, last = EPHEMERAL
            bounds = f"expected ports up to {LAST} and none of {first} to {last}, which Linux gives away"
            yield Problem(f"ports.{key}", f"takes {_span(numbers)}: {bounds}; write another", str(numbers[0]))
    for kind, other in combinations(ranges, 2):
        if overlap := sorted({*ranges[kind]} & {*ranges[other]}):
            subject, conflict = (kind, other) if kind in explicit_keys - {"master"} else (other, kind)
            reason = (
                f"takes {_span(ranges[subject])}, and {conflict} {_span(ranges[conflict])}: both {overlap[0]}"
            )
            yield Problem(f"ports.{subject}", f"{reason}; write another", str(ranges[subject][0]))


def _numbers(key: str, first: int, gpus: int) -> Sequence[int]:
    """Return every number that a kind of ports takes on a node; of NIXL's also those that vLLM may add."""
    stride = STRIDES.get(key, 1)
    slots = gpus if key in STRIDES else 1
    return range(first, first + stride * slots, 1 if key == "nixl" else stride)


def _beyond(numbers: Sequence[int]) -> bool:
    first, last = EPHEMERAL
    return numbers[-1] > LAST or any(first <= number <= last for number in numbers)


def _span(numbers: Sequence[int]) -> str:
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
