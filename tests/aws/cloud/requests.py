"""A request to launch an instance, with its launch template filled in, as EC2 reads it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.aws.cloud.state import Option

Request = Mapping[str, Any]


@dataclass(frozen=True)
class Card:
    """An interface that an instance is launched with."""

    card: int
    device: int
    kind: str
    """`interface`, `efa` or `efa-only`."""
    existing: str | None
    """Id of an interface that was made before."""
    subnet: str | None
    address: str | None
    public: bool
    groups: Sequence[str]
    lasts: bool
    """Whether it outlives the instance."""


def merged(request: Request, template: Request) -> dict[str, Any]:
    """Return a request over its launch template: what the request says counts."""
    return {**template, **request}


def cards(request: Request) -> list[Card]:
    """Return the interfaces of a request; one that names none gets one from its own keys."""
    given = request.get("NetworkInterfaces")
    if not given:
        alone = {"SubnetId": request.get("SubnetId"), "PrivateIpAddress": request.get("PrivateIpAddress")}
        given = [{"DeviceIndex": 0, "Groups": request.get("SecurityGroupIds", []), **alone}]
    return [_card(entry) for entry in given]


def _card(given: Request) -> Card:
    existing = given.get("NetworkInterfaceId")
    lasts = given.get("DeleteOnTermination", existing is None) is False
    return Card(
        card=int(given.get("NetworkCardIndex", 0)),
        device=int(given.get("DeviceIndex", 0)),
        kind=given.get("InterfaceType", "interface"),
        existing=existing,
        subnet=given.get("SubnetId"),
        address=given.get("PrivateIpAddress"),
        public=given.get("AssociatePublicIpAddress") is True,
        groups=tuple(given.get("Groups", ())),
        lasts=lasts,
    )


def option(request: Request) -> Option:
    """Return how the instance is bought."""
    market: Option = request.get("InstanceMarketOptions", {}).get("MarketType", "on-demand")
    return market


def one_time(request: Request) -> bool:
    """Return whether it is a spot instance that cannot be stopped."""
    spot = request.get("InstanceMarketOptions", {}).get("SpotOptions", {})
    return option(request) == "spot" and spot.get("SpotInstanceType", "one-time") == "one-time"


def placement_group(request: Request) -> str | None:
    """Return the name of the placement group that is asked for."""
    name: str | None = request.get("Placement", {}).get("GroupName") or None
    return name


def reservation(request: Request) -> str | None:
    """Return the id of the reservation that is asked for."""
    wanted = request.get("CapacityReservationSpecification", {}).get("CapacityReservationTarget", {})
    found: str | None = wanted.get("CapacityReservationId")
    return found


def tags(template: Request, kind: str) -> dict[str, str]:
    """Return the tags that a launch template has for resources of a kind."""
    specifications = template.get("TagSpecifications", [])
    return {
        tag["Key"]: tag.get("Value", "")
        for specification in specifications
        if specification["ResourceType"] == kind
        for tag in specification["Tags"]
    }
