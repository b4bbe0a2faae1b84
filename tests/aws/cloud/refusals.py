"""Requests that EC2 refuses and moto accepts, with EC2's error codes (EC2 API Reference, "Error codes").

Each function raises, or lets pass. `backend` is moto's EC2 of one account and region. Where EC2's own code
for a case could not be found written down, the function says so.
"""

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Any, Final, NoReturn

from moto.ec2.exceptions import EC2ClientError

from tests.aws.cloud.requests import Card, Request, cards, one_time, option, placement_group, reservation
from tests.aws.cloud.state import ADDRESSES, CapacityReservation, State

Backend = Any
_OWN_ADDRESSES: Final = 4
"""EC2 keeps the first four addresses of a subnet, and the last."""


def refuse(code: str, message: str) -> NoReturn:
    """Answer as EC2 does. A refusal is no fault of the server: clients do not try again."""
    raise EC2ClientError(code, message)


def launch(backend: Backend, state: State, request: Request) -> None:
    """Refuse to launch an instance."""
    instance_type, wanted = request.get("InstanceType", "m1.small"), cards(request)
    _interfaces(backend, instance_type, wanted)
    _image_and_key(backend, request)
    zone = zone_of(backend, request)
    _reserved(state, request, instance_type, zone)
    _placement(state, request, backend, zone)
    _quota(backend, state, request, instance_type)
    if (instance_type, zone) in state.sold_out and not reservation(request):
        state.asked_in_vain += 1
        refuse(
            "InsufficientInstanceCapacity",
            f"We currently do not have sufficient {instance_type} capacity in the Availability Zone you "
            f"requested ({zone}). Our system will be working on provisioning additional capacity.",
        )


def zone_of(backend: Backend, request: Request) -> str:
    """Return the zone that an instance would be in: that of its primary interface's subnet."""
    for card in cards(request):
        if card.existing:
            return str(backend.get_network_interface(card.existing).subnet.availability_zone)
        if card.subnet:
            return str(backend.get_subnet(card.subnet).availability_zone)
    return str(request.get("Placement", {}).get("AvailabilityZone") or f"{backend.region_name}a")


def _interfaces(backend: Backend, instance_type: str, wanted: Sequence[Card]) -> None:
    if len(wanted) > 1 and any(card.public for card in wanted):
        refuse(
            "InvalidParameterCombination",
            "The associatePublicIPAddress parameter cannot be specified when launching with multiple network "
            "interfaces.",
        )
    taken = [(card.card, card.device) for card in wanted]
    if len(set(taken)) < len(taken):
        refuse("InvalidParameterValue", "Each network interface requires a unique device index.")
    for card in wanted:
        if card.existing and backend.get_network_interface(card.existing).instance is not None:
            refuse("InvalidNetworkInterface.InUse", f"Interface: [{card.existing}] in use.")
    _as_the_type_has_them(backend, instance_type, wanted)


def _as_the_type_has_them(backend: Backend, instance_type: str, wanted: Sequence[Card]) -> None:
    """Refuse more cards than the type has. The messages are EC2's; the code was not found written down."""
    described = backend.describe_instance_types([instance_type], {})
    network = described[0]["NetworkInfo"]
    has = {card["NetworkCardIndex"]: card for card in network["NetworkCards"]}
    for card in wanted:
        if card.card not in has:
            refuse(
                "InvalidParameterValue",
                f"The network card index '{card.card}' exceeds the maximum number of network cards supported "
                f"by {instance_type}, which is {len(has)}.",
            )
        most = has[card.card]["MaximumNetworkInterfaces"]
        if card.device >= most:
            refuse(
                "InvalidParameterValue",
                f"The specified number '{card.device}' for the device index exceeds the maximum number of "
                f"network interfaces supported by the network card at network card index {card.card}.",
            )
        if card.kind.startswith("efa") and card.kind not in _kinds(network, has[card.card]):
            refuse(
                "InvalidParameterCombination",
                f"{instance_type} does not support {card.kind} on network card {card.card}.",
            )
    efa = [card for card in wanted if card.kind.startswith("efa")]
    if len(efa) > network.get("EfaInfo", {}).get("MaximumEfaInterfaces", 0):
        refuse("InvalidParameterCombination", f"{instance_type} does not support {len(efa)} EFA interfaces.")


def _kinds(network: Request, card: Request) -> Sequence[str]:
    everything = ["interface", "efa", "efa-only"] if network.get("EfaSupported") else ["interface"]
    found: Sequence[str] = card.get("InterfaceTypes", everything)
    return found


def _image_and_key(backend: Backend, request: Request) -> None:
    image, key = request.get("ImageId"), request.get("KeyName")
    if not backend.describe_images(filters={"image-id": [image]}):
        refuse("InvalidAMIID.NotFound", f"The image id '[{image}]' does not exist")
    if key and key not in backend.key_pairs:
        refuse("InvalidKeyPair.NotFound", f"The key pair '{key}' does not exist")


def _reserved(state: State, request: Request, instance_type: str, zone: str) -> None:
    wanted = reservation(request)
    if wanted is None:
        if option(request) == "capacity-block":
            refuse("InvalidParameterCombination", "A capacity block needs a Capacity Reservation target.")
        return
    found = state.reservations.get(wanted)
    if found is None:
        refuse(
            "InvalidCapacityReservationId.NotFound", f"The capacity reservation ID '{wanted}' does not exist"
        )
    _same_kind(found, request)
    _room(found, instance_type, zone)


def _same_kind(found: CapacityReservation, request: Request) -> None:
    block = found.kind == "capacity-block"
    if block != (option(request) == "capacity-block"):
        refuse(
            "InvalidParameterCombination",
            f"The market type of the request does not go with the type of {found.id}, which is {found.kind}.",
        )


def _room(found: CapacityReservation, instance_type: str, zone: str) -> None:
    if found.state != "active":
        refuse("InvalidCapacityReservationState", f"{found.id} is {found.state}.")
    if (found.instance_type, found.zone) != (instance_type, zone) or found.available < 1:
        refuse(
            "ReservationCapacityExceeded",
            "The requested reservation does not have sufficient compatible and available capacity for this "
            "request.",
        )


def _placement(state: State, request: Request, backend: Backend, zone: str) -> None:
    """Refuse a placement group that cannot be.

    For capacity blocks and reservations EC2's code was not found written down.
    """
    name = placement_group(request)
    wanted = state.reservations.get(reservation(request) or "")
    if name is not None and name not in state.groups:
        refuse("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
    if name is not None and option(request) == "capacity-block":
        refuse("InvalidParameterCombination", "A placement group cannot be used with a capacity block.")
    if wanted and wanted.kind == "default" and name != _group_name(wanted):
        refuse(
            "InvalidParameterCombination",
            f"{wanted.id} is in the placement group {_group_name(wanted)}, and the request names {name}.",
        )
    elsewhere = {
        instance.placement.zone
        for instance in backend.all_running_instances()
        if instance.placement.group_name == name
    } - {zone}
    if name is not None and elsewhere:
        refuse(
            "InvalidPlacementGroup.InUse",
            f"The placement group '{name}' is in use in another availability zone: {elsewhere.pop()}",
        )


def _group_name(found: CapacityReservation) -> str | None:
    return found.placement_group.rpartition("/")[2] if found.placement_group else None


def _quota(backend: Backend, state: State, request: Request, instance_type: str) -> None:
    bought = option(request)
    quota = state.quotas.get((_family(instance_type), bought))
    if quota is None:
        return
    running = [
        instance.instance_type
        for instance in backend.all_running_instances()
        if (_family(instance.instance_type), option(state.launched[instance.id]))
        == (_family(instance_type), bought)
    ]
    if sum(vcpus(backend, name) for name in [*running, instance_type]) <= quota:
        return
    if bought == "spot":
        refuse("MaxSpotInstanceCountExceeded", "Max spot instance count exceeded")
    refuse(
        "VcpuLimitExceeded",
        f"You have requested more vCPU capacity than your current vCPU limit of {quota} allows for the "
        "instance bucket that the specified instance type belongs to.",
    )


def _family(instance_type: str) -> str:
    return "".join(letter for letter in instance_type.partition(".")[0] if not letter.isdigit())[:1]


def vcpus(backend: Backend, instance_type: str) -> int:
    """Return the vCPUs of an instance type."""
    return int(backend.describe_instance_types([instance_type], {})[0]["VCpuInfo"]["DefaultVCpus"])


def address(backend: Backend, subnet: Any, wanted: Iterable[str]) -> None:
    """Refuse private addresses that the subnet does not have, or that are taken."""
    whole = ipaddress.IPv4Network(subnet.cidr_block)
    for text in wanted:
        asked = ipaddress.IPv4Address(text)
        if asked not in whole:
            refuse("InvalidParameterValue", "Address does not fall within the subnet's address range")
        if int(asked) - int(whole[0]) < _OWN_ADDRESSES or asked == whole[-1]:
            refuse("InvalidParameterValue", "Address is in subnet's reserved address range")
        if any(text in _addresses(eni) for eni in backend.enis.values() if eni.subnet.id == subnet.id):
            refuse("InvalidIPAddress.InUse", "Address is in use.")


def _addresses(eni: Any) -> list[str]:
    return [address["PrivateIpAddress"] for address in eni.private_ip_addresses]


def another_elastic_address(backend: Backend) -> None:
    """Refuse more Elastic IPs than the account has."""
    if len(backend.addresses) >= ADDRESSES:
        refuse("AddressLimitExceeded", "The maximum number of addresses has been reached.")


def association(instance: Any) -> None:
    """Refuse an Elastic IP for an instance of several interfaces: which one is meant?"""
    if instance is not None and len(instance.nics) > 1:
        refuse(
            "InvalidInstanceID",
            f"There are multiple interfaces attached to instance '{instance.id}'. Please specify an "
            "interface ID for the operation instead.",
        )


def stop(request: Request, instance: Any) -> None:
    """Refuse to stop an instance that cannot be started again."""
    if one_time(request):
        refuse(
            "UnsupportedOperation",
            f"You can't stop the Spot Instance '{instance.id}' because it is associated with a one-time Spot "
            "Instance request. You can only stop Spot Instances associated with persistent Spot Instance "
            "requests.",
        )
