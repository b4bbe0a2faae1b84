"""The account's answers, as values with their time and source."""

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
"""Purchase option of a running instance; EC2 reports one in a reservation as on-demand."""


@dataclass(frozen=True)
class Answer(Generic[T_co]):
    """An answer. A snapshot is data that ships with the project: it informs and never refuses."""

    value: T_co
    source: Literal["live", "snapshot"]
    time: datetime


@dataclass(frozen=True)
class NoAnswer:
    """A question without an answer, and the reason: no permission, or AWS not reached."""

    question: str
    reason: str


Reply: TypeAlias = Answer[T] | NoAnswer | None
"""None if the question does not apply, such as for a reservation that the stack does not use."""


def live(reply: Reply[T]) -> Iterator[T]:
    """Yield the value of a live answer, and nothing for any other reply: only live answers may refuse."""
    if isinstance(reply, Answer) and reply.source == "live":
        yield reply.value


@dataclass(frozen=True)
class Instance:
    """An instance that is not terminated: pending, running, stopping or stopped."""

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
        """Return whether the instance counts against quotas."""
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
    """Name of the placement group that its instances must be launched into."""


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
    """Id of the target: `igw-…`, `nat-…`, `local`."""
    alive: bool
    """False if EC2 calls the route a black hole: its target is gone."""


@dataclass(frozen=True)
class Routes:
    """The routes of a subnet."""

    table: str
    routes: tuple[Route, ...]
    has_prefix_lists: bool
    """Whether some routes are to prefix lists, whose ranges were not queried."""

    def to(self, destination: str) -> Route | None:
        """Return the route that traffic to a range takes: the most specific one that covers it."""
        network = ipaddress.IPv4Network(destination)
        holding = [
            route for route in self.routes if network.subnet_of(ipaddress.IPv4Network(route.destination))
        ]
        return max(
            holding, key=lambda route: ipaddress.IPv4Network(route.destination).prefixlen, default=None
        )


@dataclass(frozen=True)
class Interface:
    """A network interface that does not belong to the stack, and one of its addresses."""

    id: str
    address: str


@dataclass(frozen=True)
class Image:
    """A machine image."""

    id: str
    architecture: str
    root_device: str
    """Such as `/dev/sda1`; empty if not known."""
    root_gib: int
    """Size of the snapshot that its root volume is created from; 0 if not known."""
    on_ebs: bool
    """Whether its root is an EBS volume."""


@dataclass(frozen=True)
class Addresses:
    """Elastic IPs of the account in the region."""

    own: int
    foreign: int


@dataclass(frozen=True)
class VpcCount:
    """VPCs of the account in the region."""

    own: int
    foreign: int


@dataclass(frozen=True)
class Price:
    """Price of one instance type, Linux, with a purchase option, in US dollars per hour."""

    type: str
    option: PurchaseOption
    hourly: float


@dataclass(frozen=True)
class Answers:
    """All answers of one round of queries."""

    caller: Reply[str]
    """Account number."""
    region_enabled: Reply[bool]
    offerings: Reply[Mapping[str, tuple[str, ...]]]
    """Instance type -> zones of the region that offer it."""
    types: Reply[Mapping[str, InstanceType]]
    instances: Reply[tuple[Instance, ...]]
    """All instances of the account in the region, since quotas count all."""
    quotas: Reply[Mapping[str, Quota]]
    """By code."""
    reservation: Reply[Reservation | None]
    subnet: Reply[Subnet | None]
    addresses: Reply[Addresses]
    image: Reply[str | None]
    """Id of the image; None if it does not exist."""
    prices: Reply[tuple[Price, ...]]
    routes: Reply[Routes | None] = None
    """Routes of an existing subnet."""
    interfaces: Reply[tuple[Interface, ...]] = None
    """Interfaces in an existing subnet that do not belong to the stack."""
    vpcs: Reply[VpcCount] = None
    machine_image: Reply[Image | None] = None
    """Details of the image; None if it does not exist, which `image` refuses."""
