"""The actions of EC2 that this folder adds to moto's, or puts its refusals before.

`install` puts them into moto's one class of answers; `current` is the state that they work on.
"""

import base64
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, Protocol

from moto.core.responses import ActionResult, EmptyResult
from moto.ec2.models.elastic_network_interfaces import Attachment
from moto.ec2.responses import EC2Response
from moto.ec2.utils import parse_user_data

from tests.aws.cloud import dependencies, refusals, requests
from tests.aws.cloud.groups import Opening, openings
from tests.aws.cloud.state import CapacityReservation, PlacementGroup, State


class Machines(Protocol):
    """Behaviour of instances: none, or machines that boot."""

    def public_address(self) -> str | None:
        """Return the next Elastic IP; None leaves it to moto."""

    def launch(self, instance: Any, user_data: str, public_key: str) -> None:
        """Give an instance a machine; returns before it has booted."""

    def terminate(self, instance: Any) -> None:
        """Take its machine and disk away."""

    def stop(self, instance: Any, off: Callable[[], None]) -> None:
        """Press its machine's power button; returns at once, and `off` is called when the machine is off."""

    def start(self, instance: Any) -> None:
        """Boot its machine again."""

    def published(self, private: str, public: Sequence[str]) -> None:
        """Lead `public` addresses, and no others, to a private one."""

    def guarded(self, private: str, openings: Sequence[Opening]) -> None:
        """Let through to and from a private address what its groups let through, and nothing else."""


class NoMachines:
    """Instances are entries in moto's books."""

    def public_address(self) -> str | None:
        return None

    def launch(self, instance: Any, user_data: str, public_key: str) -> None: ...

    def terminate(self, instance: Any) -> None: ...

    def stop(self, instance: Any, off: Callable[[], None]) -> None:
        off()

    def start(self, instance: Any) -> None: ...

    def published(self, private: str, public: Sequence[str]) -> None: ...

    def guarded(self, private: str, openings: Sequence[Opening]) -> None: ...


class Current:
    """The state and the machines that the actions work on now."""

    state: State = State()
    machines: Machines = NoMachines()


current: Final = Current()
_moto: Final = {name: value for base in reversed(EC2Response.__mro__) for name, value in vars(base).items()}
"""moto's own actions, by name."""


def install() -> None:
    """Put the actions in place; moto finds them by name."""
    for name, action in vars(Actions).items():
        if not name.startswith("_"):
            setattr(EC2Response, name, action)
    Attachment.__init__ = _attach  # type: ignore[method-assign,assignment]


def _attach(attachment: Attachment, eni: Any) -> None:
    _moto_attach(attachment, eni)
    attachment.network_card_index = getattr(eni, "network_card_index", 0)


_moto_attach: Final = Attachment.__init__


def _guarding(name: str) -> Callable[[EC2Response], ActionResult]:
    """Return an action of moto's after which the machines' packet filters are those of their groups."""

    def action(self: EC2Response) -> ActionResult:
        answer: ActionResult = _moto[name](self)
        _guard(self.ec2_backend)
        return answer

    return action


class Actions(EC2Response):
    """The actions; they become methods of moto's own class."""

    def run_instances(self) -> ActionResult:
        backend, state = self.ec2_backend, current.state
        given = self._get_params()
        template = given.get("LaunchTemplate")
        data = backend._get_template_from_args(template).data if template else {}
        request = requests.merged(given, data)
        refusals.launch(backend, state, request)
        found = _launch(self, request)
        instance = found.instances[0]
        _tag_interfaces(backend, instance, request, data)
        state.launched[instance.id] = request
        state.launches[instance.private_ip] += 1
        held = state.reservations.get(requests.reservation(request) or "")
        if held:
            held.held.add(instance.id)
            instance.capacity_reservation_id = held.id
        key = backend.key_pairs.get(request.get("KeyName"))
        user_data = str(request.get("UserData", ""))
        current.machines.launch(instance, _text(user_data), key.material_public.decode() if key else "")
        return ActionResult(found)

    def terminate_instances(self) -> ActionResult:
        backend, state = self.ec2_backend, current.state
        instances = backend.get_multi_instances_by_id(self._get_param("InstanceIds", []))
        answer: ActionResult = _moto["terminate_instances"](self)
        for instance in instances:
            for eni in instance.nics.values():
                # moto's own detaching would leave an instance without an address, which it cannot describe
                eni.instance, eni.attachment_id, eni.status = None, None, "available"
            current.machines.terminate(instance)
            for reservation in state.reservations.values():
                if instance.id in reservation.held:
                    reservation.held.discard(instance.id)
                    reservation.leaving[instance.id] = time.monotonic() + state.release_seconds
        return answer

    def stop_instances(self) -> ActionResult:
        instances = self.ec2_backend.get_multi_instances_by_id(self._get_param("InstanceIds", []))
        for instance in instances:
            refusals.stop(current.state.launched.get(instance.id, {}), instance)
        answer: ActionResult = _moto["stop_instances"](self)
        for instance in instances:
            instance._state.name, instance._state.code = "stopping", 64
            current.machines.stop(instance, partial(_off, instance))
        return answer

    def start_instances(self) -> ActionResult:
        answer: ActionResult = _moto["start_instances"](self)
        for instance in self.ec2_backend.get_multi_instances_by_id(self._get_param("InstanceIds", [])):
            current.machines.start(instance)
        return answer

    def create_network_interface(self) -> ActionResult:
        wanted = [entry["PrivateIpAddress"] for entry in self._get_param("PrivateIpAddresses", [])]
        if self._get_param("PrivateIpAddress"):
            wanted.append(self._get_param("PrivateIpAddress"))
        subnet = self.ec2_backend.get_subnet(self._get_param("SubnetId"))
        refusals.address(self.ec2_backend, subnet, wanted)
        answer: ActionResult = _moto["create_network_interface"](self)
        _guard(self.ec2_backend)
        return answer

    modify_network_interface_attribute = _guarding("modify_network_interface_attribute")
    authorize_security_group_ingress = _guarding("authorize_security_group_ingress")
    authorize_security_group_egress = _guarding("authorize_security_group_egress")
    revoke_security_group_ingress = _guarding("revoke_security_group_ingress")
    revoke_security_group_egress = _guarding("revoke_security_group_egress")
    modify_security_group_rules = _guarding("modify_security_group_rules")

    def delete_network_interface(self) -> ActionResult:
        eni = self.ec2_backend.get_network_interface(self._get_param("NetworkInterfaceId"))
        dependencies.network_interface(self.ec2_backend, eni)
        answer: ActionResult = _moto["delete_network_interface"](self)
        return answer

    def allocate_address(self) -> ActionResult:
        refusals.another_elastic_address(self.ec2_backend)
        answer: ActionResult = _moto["allocate_address"](self)
        public = current.machines.public_address()
        if public:
            self.ec2_backend.addresses[-1].public_ip = public
            result: Any = answer.result
            result["PublicIp"] = public
        return answer

    def associate_address(self) -> ActionResult:
        backend = self.ec2_backend
        if self._get_param("InstanceId"):
            refusals.association(backend.get_instance(self._get_param("InstanceId")))
        answer: ActionResult = _moto["associate_address"](self)
        _publish(backend)
        return answer

    def disassociate_address(self) -> ActionResult:
        answer: ActionResult = _moto["disassociate_address"](self)
        _publish(self.ec2_backend)
        return answer

    def release_address(self) -> ActionResult:
        dependencies.elastic_address(self.ec2_backend, self._get_param("AllocationId"))
        answer: ActionResult = _moto["release_address"](self)
        return answer

    def delete_security_group(self) -> ActionResult:
        dependencies.security_group(self.ec2_backend, self._get_param("GroupId"))
        answer: ActionResult = _moto["delete_security_group"](self)
        return answer

    def delete_subnet(self) -> ActionResult:
        dependencies.subnet(self.ec2_backend, self._get_param("SubnetId"))
        answer: ActionResult = _moto["delete_subnet"](self)
        return answer

    def detach_internet_gateway(self) -> ActionResult:
        dependencies.internet_gateway(self.ec2_backend, self._get_param("VpcId"))
        answer: ActionResult = _moto["detach_internet_gateway"](self)
        return answer

    def delete_nat_gateway(self) -> ActionResult:
        gateway = self.ec2_backend.nat_gateways[self._get_param("NatGatewayId")]
        answer: ActionResult = _moto["delete_nat_gateway"](self)
        # moto keeps its interface, and the address that was with it
        for address in self.ec2_backend.addresses:
            if address.eni is gateway._eni:
                address.eni, address.association_id = None, None
        self.ec2_backend.enis.pop(gateway._eni.id, None)
        return answer

    def delete_vpc(self) -> ActionResult:
        dependencies.vpc(self.ec2_backend, self._get_param("VpcId"))
        answer: ActionResult = _moto["delete_vpc"](self)
        return answer

    def create_placement_group(self) -> ActionResult:
        name = self._get_param("GroupName")
        if name in current.state.groups:
            refusals.refuse(
                "InvalidPlacementGroup.Duplicate", f"The Placement Group '{name}' already exists."
            )
        tags = self._parse_tag_specification("placement-group").get("placement-group", {})
        made = PlacementGroup(f"pg-{secrets.token_hex(8)}", name, self._get_param("Strategy"), dict(tags))
        current.state.groups[name] = made
        return ActionResult({"PlacementGroup": _group(made)})

    def describe_placement_groups(self) -> ActionResult:
        names, ids = self._get_param("GroupNames", []), self._get_param("GroupIds", [])
        groups = current.state.groups
        unknown = sorted(set(names) - groups.keys())
        if unknown:
            refusals.refuse(
                "InvalidPlacementGroup.Unknown", f"The Placement Group '{unknown[0]}' is unknown."
            )
        found = [
            group
            for group in groups.values()
            if (not names or group.name in names) and _wanted(group.id, ids)
        ]
        return ActionResult({"PlacementGroups": [_group(entry) for entry in found]})

    def delete_placement_group(self) -> ActionResult:
        name = self._get_param("GroupName")
        if name not in current.state.groups:
            refusals.refuse("InvalidPlacementGroup.Unknown", f"The Placement Group '{name}' is unknown.")
        dependencies.placement_group(self.ec2_backend, name)
        del current.state.groups[name]
        return EmptyResult()

    def create_tags(self) -> ActionResult:
        if _tag_groups(self):
            return EmptyResult()
        answer: ActionResult = _moto["create_tags"](self)
        return answer

    def delete_tags(self) -> ActionResult:
        if _untag_groups(self):
            return EmptyResult()
        answer: ActionResult = _moto["delete_tags"](self)
        return answer

    def create_capacity_reservation(self) -> ActionResult:
        made = CapacityReservation(
            f"cr-{secrets.token_hex(9)[:17]}",
            self._get_param("InstanceType"),
            self._get_param("AvailabilityZone"),
            int(self._get_param("InstanceCount")),
            placement_group=self._get_param("PlacementGroupArn"),
        )
        current.state.reservations[made.id] = made
        return ActionResult({"CapacityReservation": _reservation(made)})

    def describe_capacity_reservations(self) -> ActionResult:
        ids = self._get_param("CapacityReservationIds", [])
        known = current.state.reservations
        unknown = sorted(set(ids) - known.keys())
        if unknown:
            refusals.refuse(
                "InvalidCapacityReservationId.NotFound",
                f"The capacity reservation ID '{unknown[0]}' does not exist",
            )
        found = [_reservation(entry) for entry in known.values() if _wanted(entry.id, ids)]
        return ActionResult({"CapacityReservations": found})

    def cancel_capacity_reservation(self) -> ActionResult:
        current.state.reservations[self._get_param("CapacityReservationId")].state = "cancelled"
        return ActionResult({"Return": True})


def _off(instance: Any) -> None:
    if instance._state.name == "stopping":
        instance._state.name, instance._state.code = "stopped", 80


def _launch(action: Any, request: Mapping[str, Any]) -> Any:
    """Launch with what moto would have left out of the template, and interfaces on the cards they are for."""
    backend, wanted = action.ec2_backend, requests.cards(request)
    profile = request.get("IamInstanceProfile", {})
    found = backend.run_instances(
        request["ImageId"],
        1,
        parse_user_data(str(request["UserData"]) if "UserData" in request else None),
        [],
        instance_type=request.get("InstanceType", "m1.small"),
        is_instance_type_default=False,
        region_name=action.region,
        placement=refusals.zone_of(backend, request),
        key_name=request.get("KeyName"),
        nics=[_for_moto(card, position) for position, card in enumerate(wanted)],
        tags=action._parse_tag_specification(),
        instance_market_options=request.get("InstanceMarketOptions", {}).get("MarketType"),
        instance_initiated_shutdown_behavior=request.get("InstanceInitiatedShutdownBehavior"),
        launch_template=request.get("LaunchTemplate", {}),
        metadata_options=request.get("MetadataOptions", {}),
        block_device_mappings=request.get("BlockDeviceMappings", []),
    )
    instance = found.instances[0]
    instance.placement.group_name = requests.placement_group(request) or ""
    bought = requests.option(request)
    instance.lifecycle = None if bought == "on-demand" else bought
    for card, eni in zip(wanted, instance.nics.values(), strict=True):
        eni.device_index, eni.network_card_index, eni.interface_type = card.device, card.card, card.kind
        if card.kind == "efa-only":
            eni.private_ip_address, eni.private_ip_addresses = None, []
    if profile:
        _with_profile(backend, instance, profile)
    return found


def _tag_interfaces(
    backend: Any, instance: Any, request: Mapping[str, Any], template: Mapping[str, Any]
) -> None:
    """Tag the interfaces that the launch itself makes, as its template says; moto leaves them without."""
    tags = requests.tags(template, "network-interface")
    for card, eni in zip(requests.cards(request), instance.nics.values(), strict=True):
        if tags and not card.existing:
            backend.create_tags([eni.id], tags)


def _for_moto(card: requests.Card, position: int) -> dict[str, Any]:
    """Return an interface for moto, which knows one card: the place in the list stands for the device."""
    return {
        "DeviceIndex": position,
        "NetworkInterfaceId": card.existing,
        "SubnetId": card.subnet,
        "PrivateIpAddress": card.address,
        "AssociatePublicIpAddress": card.public,
        "Groups": list(card.groups),
        "DeleteOnTermination": not card.lasts,
    }


def _text(user_data: str) -> str:
    """Return user data as it was before it was encoded for the way."""
    return base64.b64decode(user_data).decode()


def _with_profile(backend: Any, instance: Any, profile: Mapping[str, str]) -> None:
    name = profile.get("Name") or profile["Arn"].rpartition("/")[2]
    backend.associate_iam_instance_profile(instance_id=instance.id, iam_instance_profile_name=name)


def _guard(backend: Any) -> None:
    """Tell the machines what the groups of each interface let through."""
    for eni in list(backend.enis.values()):
        if eni.private_ip_address:
            current.machines.guarded(eni.private_ip_address, openings(backend, eni))


def _publish(backend: Any) -> None:
    """Tell the machines which public addresses lead to each private one."""
    leads: dict[str, list[str]] = {
        eni.private_ip_address: [] for eni in backend.enis.values() if eni.private_ip_address
    }
    for address in backend.addresses:
        if address.eni is not None:
            leads.setdefault(address.eni.private_ip_address, []).append(address.public_ip)
    for private, public in leads.items():
        current.machines.published(private, public)


def _tag_groups(action: Any) -> bool:
    """Tag placement groups; return whether the request was for those, which moto does not know."""
    tags = {entry["Key"]: entry.get("Value", "") for entry in action._get_param("Tags", [])}
    for group in _tagged(action):
        group.tags.update(tags)
    return bool(_tagged(action))


def _untag_groups(action: Any) -> bool:
    for group in _tagged(action):
        for tag in action._get_param("Tags", []):
            group.tags.pop(tag["Key"], None)
    return bool(_tagged(action))


def _tagged(action: Any) -> list[PlacementGroup]:
    ids = action._get_param("Resources", [])
    return [group for group in current.state.groups.values() if group.id in ids]


def _wanted(one: str, ids: Sequence[str]) -> bool:
    return not ids or one in ids


def _group(group: PlacementGroup) -> dict[str, Any]:
    return {
        "GroupId": group.id,
        "GroupName": group.name,
        "GroupArn": f"arn:aws:ec2:us-east-1:123456789012:placement-group/{group.name}",
        "State": "available",
        "Strategy": group.strategy,
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(group.tags.items())],
    }


def _reservation(one: CapacityReservation) -> dict[str, Any]:
    return {
        "CapacityReservationId": one.id,
        "InstanceType": one.instance_type,
        "AvailabilityZone": one.zone,
        "TotalInstanceCount": one.total,
        "AvailableInstanceCount": max(one.available, 0),
        "State": one.state,
        "ReservationType": one.kind,
        "PlacementGroupArn": one.placement_group,
        "InstanceMatchCriteria": "targeted",
        "StartDate": _time(one.start),
        "EndDate": _time(one.end) if one.end else None,
        "EndDateType": "limited" if one.end else "unlimited",
    }


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
