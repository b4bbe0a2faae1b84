"""The account's answers, as values: each says when it was given and whether it is live."""

import ipaddress
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Literal, TypeAlias, TypeVar

from planning.aws.catalogue import InstanceType
from settings.aws.target import PurchaseOption

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

Bought = Literal["on-demand", "spot", "capacity-block"]
"""How a running instance is paid for; one in a reservation is on-demand to EC2."""


@dataclass(frozen=True)
class Answer(Generic[T_co]):
    """What was answered. A snapshot is data that ships with the project: it informs and never refuses."""

    value: T_co
    source: Literal["live", "snapshot"]
    when: datetime


@dataclass(frozen=True)
class NoAnswer:
    """A question without an answer, and why: nobody may ask, or nobody could be reached."""

    question: str
    why: str


Reply: TypeAlias = Answer[T] | NoAnswer | None
"""None: there was nothing to ask, such as of a reservation that the stack does not use."""


def live(reply: Reply[T]) -> Iterator[T]:
    """Yield the value of a live answer, and nothing else: what may refuse."""
    if isinstance(reply, Answer) and reply.source == "live":
        yield reply.value


@dataclass(frozen=True)
class Instance:
    """One instance that is not gone: pending, running, stopping or stopped."""

    id: str
    name: str
    type: str
    zone: str
    state: str
    bought: Bought
    vcpus: int
    reservation: str | None
    tags: Mapping[str, str]

    @property
    def runs(self) -> bool:
        """Whether it counts against quotas."""
        return self.state in ("pending", "running")


@dataclass(frozen=True)
class Quota:
    """A quota of the account in the region."""

    code: str
    name: str
    limit: int


@dataclass(frozen=True)
class Reservation:
    """A capacity reservation or capacity block."""

    id: str
    option: PurchaseOption
    type: str
    zone: str
    state: str
    total: int
    free: int
    starts: datetime | None
    ends: datetime | None
    placement_group: str | None
    """Name of the group that its instances must be launched into."""


@dataclass(frozen=True)
class Subnet:
    """An existing subnet."""

    id: str
    vpc: str
    zone: str
    cidr: str


@dataclass(frozen=True)
class Route:
    """One IPv4 route."""

    destination: str
    target: str
    """Id of what it leads to: `igw-…`, `nat-…`, `local`."""
    alive: bool
    """False where EC2 calls it a black hole: what it led to is gone."""


@dataclass(frozen=True)
class Routes:
    """The routes of a subnet."""

    table: str
    routes: tuple[Route, ...]
    by_list: bool
    """Whether some lead to lists of ranges, whose content was not asked."""

    def to(self, where: str) -> Route | None:
        """Return the route that traffic to a range takes: the narrowest that holds all of it."""
        wanted = ipaddress.IPv4Network(where)
        holding = [
            route for route in self.routes if wanted.subnet_of(ipaddress.IPv4Network(route.destination))
        ]
        return max(
            holding, key=lambda route: ipaddress.IPv4Network(route.destination).prefixlen, default=None
        )


@dataclass(frozen=True)
class Interface:
    """A network interface that is not the stack's, and one address of it."""

    id: str
    address: str


@dataclass(frozen=True)
class Image:
    """A machine image."""

    id: str
    architecture: str
    root_device: str
    """`/dev/sda1`; empty: not said."""
    root_gib: int
    """Size of the snapshot that its root volume is made from; 0: not said."""
    on_ebs: bool
    """Whether its root is a volume."""


@dataclass(frozen=True)
class Addresses:
    """Elastic IPs of the account in the region."""

    ours: int
    others: int


@dataclass(frozen=True)
class VpcCount:
    """VPCs of the account in the region."""

    ours: int
    others: int


@dataclass(frozen=True)
class Price:
    """US dollars an hour of one type, Linux, as it is bought."""

    type: str
    option: PurchaseOption
    hourly: float


@dataclass(frozen=True)
class Answers:
    """All that was asked at once."""

    caller: Reply[str]
    """Number of the account."""
    region_enabled: Reply[bool]
    offerings: Reply[Mapping[str, tuple[str, ...]]]
    """Instance type -> zones of the region that offer it."""
    types: Reply[Mapping[str, InstanceType]]
    instances: Reply[tuple[Instance, ...]]
    """Those of the whole account in the region, since quotas count all."""
    quotas: Reply[Mapping[str, Quota]]
    """By code."""
    reservation: Reply[Reservation | None]
    subnet: Reply[Subnet | None]
    addresses: Reply[Addresses]
    image: Reply[str | None]
    """Id of the image; None where there is no such one."""
    prices: Reply[tuple[Price, ...]]
    routes: Reply[Routes | None] = None
    """Of an existing subnet."""
    interfaces: Reply[tuple[Interface, ...]] = None
    """Of others in an existing subnet."""
    vpcs: Reply[VpcCount] = None
    machine_image: Reply[Image | None] = None
    """What the image is; None where there is no such one, which `image` refuses."""
