"""Every port number of a deployment, on local nodes as on real ones."""

import ipaddress
from dataclasses import dataclass
from typing import Final

FRONTEND: Final = 8000
"""Where clients ask, on the head: the only frontend, or the balancer of several."""

BALANCED_FRONTEND: Final = 8001
"""A frontend behind the balancer."""

GATE: Final = 8002
"""Where the balancer asks about the frontend on a node (`nodectl.gate`)."""

FRONTEND_RESPONSE_STREAM: Final = 9400
NATS: Final = 4222
NATS_MONITORING: Final = 8222
ETCD: Final = 2379
ETCD_PEER: Final = 2380

EPHEMERAL: Final = (32768, 60999)
"""Linux's own choice for programs that ask for any port: gloo, NCCL, vLLM's workers and UCX do."""

LOCAL_MASTERS: Final = (12000, 28380)
"""Rendezvous of local engines that span nodes: torch listens on all addresses, so each needs its own."""

MAX_GPUS_PER_NODE: Final = 128
"""With many more slots the ranges of two kinds of ports would meet."""


@dataclass(frozen=True)
class SlotPorts:
    """Ports of the engine (or rank) in one slot of its node."""

    request_plane: int
    response_stream: int
    system: int
    nixl: int
    master: int


def of_slot(slot: int) -> SlotPorts:
    """Return the ports of a slot. An engine's slot is its first GPU, so that nobody else's moves with it.

    NIXL's stride leaves room for what vLLM adds by itself: it counts up by data-parallel rank.
    """
    return SlotPorts(
        request_plane=9401 + 10 * slot,
        response_stream=9402 + 10 * slot,
        system=9090 + slot,
        nixl=5600 + 16 * slot,
        master=29501 + slot,
    )


def local_master(address: str) -> int:
    """Return the rendezvous port of the local node at `address`; no other node of its stack has the same.

    Nor, most likely, has one of another stack: the range's size is prime, so that all of the address counts.
    """
    first, last = LOCAL_MASTERS
    return first + int(ipaddress.IPv4Address(address)) % (last - first + 1)


_FIRST = of_slot(0)
LOCAL_PROBES: Final = (
    FRONTEND,
    FRONTEND_RESPONSE_STREAM,
    NATS,
    NATS_MONITORING,
    ETCD,
    ETCD_PEER,
    _FIRST.request_plane,
    _FIRST.response_stream,
    _FIRST.system,
)
"""Ports to try before a loopback address is taken for a node."""


def frontend(frontends: int) -> int:
    """Return the port of each of so many frontends."""
    return FRONTEND if frontends == 1 else BALANCED_FRONTEND


def local_probes(frontends: int) -> tuple[int, ...]:
    """Return the ports to try before a loopback address is taken for a node of so many frontends."""
    return LOCAL_PROBES if frontends == 1 else (*LOCAL_PROBES, BALANCED_FRONTEND, GATE)
