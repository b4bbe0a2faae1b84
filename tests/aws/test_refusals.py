"""The stand-in refuses requests that EC2 refuses and moto alone accepts, with EC2's error codes."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.aws.cloud.server import Cloud

P5 = "p5.48xlarge"
ZONE = "us-east-1a"


class Account:
    """A small network of its own in the account, and what can be launched in it."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.ec2 = cloud.client("ec2")
        self.vpc = self.ec2.create_vpc(CidrBlock="10.79.0.0/24")["Vpc"]["VpcId"]
        self.subnet = self.subnet_in(ZONE, "10.79.0.0/25")
        self.group = self.ec2.create_security_group(GroupName="g", Description="d", VpcId=self.vpc)["GroupId"]
        self.image = cloud.publish_image("mine")
        self.plain: Mapping[str, Any] = {"DeviceIndex": 0, "SubnetId": self.subnet}

    def subnet_in(self, zone: str, cidr: str) -> str:
        made = self.ec2.create_subnet(VpcId=self.vpc, CidrBlock=cidr, AvailabilityZone=zone)
        return str(made["Subnet"]["SubnetId"])

    def interface(self, address: str, subnet: str = "") -> str:
        made = self.ec2.create_network_interface(
            SubnetId=subnet or self.subnet, PrivateIpAddress=address, Groups=[self.group]
        )
        return str(made["NetworkInterface"]["NetworkInterfaceId"])

    def launch(self, address: str = "", *, interfaces: Sequence[Mapping[str, Any]] = (), **more: Any) -> str:
        """Launch an instance: with an interface at `address`, or with `interfaces`."""
        first: Sequence[Mapping[str, Any]] = interfaces
        if address:
            first = [{"DeviceIndex": 0, "NetworkInterfaceId": self.interface(address)}, *interfaces]
        asked = {"ImageId": self.image, "InstanceType": P5, "NetworkInterfaces": first} | more
        return str(self.ec2.run_instances(MinCount=1, MaxCount=1, **asked)["Instances"][0]["InstanceId"])

    def efa(self, card: int, device: int = 0) -> Mapping[str, Any]:
        return {
            "NetworkCardIndex": card,
            "DeviceIndex": device,
            "InterfaceType": "efa-only",
            "SubnetId": self.subnet,
            "DeleteOnTermination": True,
        }

    def reserve(self, count: int = 1, *, zone: str = ZONE, **more: Any) -> str:
        made = self.ec2.create_capacity_reservation(
            InstanceType=P5, AvailabilityZone=zone, InstanceCount=count, InstancePlatform="Linux/UNIX", **more
        )
        return str(made["CapacityReservation"]["CapacityReservationId"])


def reserved(reservation: str) -> dict[str, Any]:
    target = {"CapacityReservationTarget": {"CapacityReservationId": reservation}}
    return {"CapacityReservationSpecification": target}


SPOT: dict[str, Any] = {"InstanceMarketOptions": {"MarketType": "spot"}}
BLOCK: dict[str, Any] = {"InstanceMarketOptions": {"MarketType": "capacity-block"}}


@pytest.fixture
def account(cloud: Cloud) -> Iterator[Account]:
    """Give a network that no other test has; what counts for the whole account is gone afterwards."""
    made = Account(cloud)
    yield made
    if running := [instance.id for instance in cloud.ec2.all_running_instances()]:
        made.ec2.terminate_instances(InstanceIds=running)
    for address in made.ec2.describe_addresses()["Addresses"]:
        if "AssociationId" in address:
            made.ec2.disassociate_address(AssociationId=address["AssociationId"])
        made.ec2.release_address(AllocationId=address["AllocationId"])
    cloud.forget()


def code(refused: pytest.ExceptionInfo[ClientError]) -> str:
    return refused.value.response["Error"]["Code"]


def test_an_elastic_ip_by_instance_is_refused_when_it_has_several_interfaces(account: Account) -> None:
    instance = account.launch("10.79.0.11", interfaces=[account.efa(1)])
    allocation = account.ec2.allocate_address(Domain="vpc")["AllocationId"]
    with pytest.raises(ClientError) as refused:
        account.ec2.associate_address(AllocationId=allocation, InstanceId=instance)
    assert code(refused) == "InvalidInstanceID"
    primary = account.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    account.ec2.associate_address(
        AllocationId=allocation, NetworkInterfaceId=primary["NetworkInterfaces"][0]["NetworkInterfaceId"]
    )
    alone = account.launch("10.79.0.12")
    another = account.ec2.allocate_address(Domain="vpc")["AllocationId"]
    account.ec2.associate_address(AllocationId=another, InstanceId=alone)


def test_an_automatic_public_address_is_refused_with_several_interfaces(account: Account) -> None:
    first = {"DeviceIndex": 0, "SubnetId": account.subnet, "AssociatePublicIpAddress": True}
    account.launch(interfaces=[first])
    with pytest.raises(ClientError) as refused:
        account.launch(interfaces=[first, account.efa(1)])
    assert code(refused) == "InvalidParameterCombination"


def test_more_cards_than_the_type_has_are_refused(account: Account) -> None:
    every = [account.efa(0, 1), *(account.efa(card) for card in range(1, 32))]
    instance = account.launch("10.79.0.11", interfaces=every)
    described = account.ec2.describe_instances(InstanceIds=[instance])["Reservations"][0]["Instances"][0]
    attached = [interface["Attachment"] for interface in described["NetworkInterfaces"]]
    assert sorted((attachment["NetworkCardIndex"], attachment["DeviceIndex"]) for attachment in attached) == [
        (0, 0),
        (0, 1),
        *((card, 0) for card in range(1, 32)),
    ]
    with pytest.raises(ClientError) as refused:
        account.launch("10.79.0.12", interfaces=[account.efa(32)])
    assert code(refused) == "InvalidParameterValue"
    with pytest.raises(ClientError) as refused:
        account.launch("10.79.0.13", interfaces=[account.efa(1, 2)])
    assert code(refused) == "InvalidParameterValue"


def test_efa_is_refused_where_the_type_has_none(account: Account) -> None:
    with pytest.raises(ClientError) as refused:
        account.launch("10.79.0.11", interfaces=[account.efa(0, 1)], InstanceType="m7i.2xlarge")
    assert code(refused) == "InvalidParameterCombination"


def test_two_interfaces_at_the_same_place_are_refused(account: Account) -> None:
    with pytest.raises(ClientError) as refused:
        account.launch("10.79.0.11", interfaces=[account.efa(1), account.efa(1)])
    assert code(refused) == "InvalidParameterValue"


def test_an_interface_that_is_in_use_is_refused(account: Account) -> None:
    primary = {"DeviceIndex": 0, "NetworkInterfaceId": account.interface("10.79.0.11")}
    instance = account.launch(interfaces=[primary])
    with pytest.raises(ClientError) as refused:
        account.launch(interfaces=[primary])
    assert code(refused) == "InvalidNetworkInterface.InUse"
    account.ec2.terminate_instances(InstanceIds=[instance])
    account.launch(interfaces=[primary])


def test_a_placement_group_is_refused_with_a_capacity_block(account: Account) -> None:
    account.ec2.create_placement_group(GroupName="near", Strategy="cluster")
    block = account.reserve(2)
    account.cloud.state.reservations[block].kind = "capacity-block"
    near: dict[str, Any] = {"Placement": {"GroupName": "near"}}
    with pytest.raises(ClientError) as refused:
        account.launch("10.79.0.11", **reserved(block), **BLOCK, **near)
    assert code(refused) == "InvalidParameterCombination"
    account.launch("10.79.0.12", **reserved(block), **BLOCK)
    with pytest.raises(ClientError) as refused:
        account.launch("10.79.0.13", **reserved(block))
    assert code(refused) == "InvalidParameterCombination"


def test_a_placement_group_other_than_the_reservations_own_is_refused(account: Account) -> None:
    for name in ("own", "other"):
        account.ec2.create_placement_group(GroupName=name, Strategy="cluster")
    own = account.ec2.describe_placement_groups(GroupNames=["own"])["PlacementGroups"][0]["GroupArn"]
    reservation = reserved(account.reserve(2, PlacementGroupArn=own))
    others: Sequence[dict[str, Any]] = ({"Placement": {"GroupName": "other"}}, {})
    for number, group in enumerate(others):
        with pytest.raises(ClientError) as refused:
            account.launch(f"10.79.0.1{number}", **reservation, **group)
        assert code(refused) == "InvalidParameterCombination"
    account.launch("10.79.0.13", **reservation, Placement={"GroupName": "own"})


def test_a_reservation_that_is_full_or_in_another_zone_is_refused(account: Account) -> None:
    full, elsewhere = account.reserve(1), account.reserve(1, zone="us-east-1b")
    account.launch("10.79.0.11", **reserved(full))
    for reservation in (full, elsewhere):
        with pytest.raises(ClientError) as refused:
            account.launch(
                interfaces=[{"DeviceIndex": 0, "SubnetId": account.subnet}], **reserved(reservation)
            )
        assert code(refused) == "ReservationCapacityExceeded"


def test_a_slot_of_a_reservation_is_free_some_time_after_termination(
    account: Account,
) -> None:
    account.cloud.state.release_seconds = 600
    reservation = account.reserve(1)
    first = account.launch("10.79.0.11", **reserved(reservation))
    account.ec2.terminate_instances(InstanceIds=[first])
    with pytest.raises(ClientError) as refused:
        account.launch("10.79.0.12", **reserved(reservation))
    assert code(refused) == "ReservationCapacityExceeded"
    account.cloud.state.reservations[reservation].leaving[first] = 0
    account.launch("10.79.0.13", **reserved(reservation))


def test_a_type_that_is_sold_out_in_a_zone_is_refused_unless_it_is_reserved(account: Account) -> None:
    account.cloud.state.sold_out.add((P5, ZONE))
    with pytest.raises(ClientError) as refused:
        account.launch("10.79.0.11")
    assert code(refused) == "InsufficientInstanceCapacity"
    account.launch("10.79.0.12", **reserved(account.reserve(1)))
    account.launch("10.79.0.13", InstanceType="g6.48xlarge")


def test_a_quota_counts_the_vcpus_of_a_purchase_option(account: Account) -> None:
    account.cloud.state.quotas |= {("p", "on-demand"): 192, ("p", "spot"): 192}
    account.launch("10.79.0.11")
    with pytest.raises(ClientError) as refused:
        account.launch("10.79.0.12")
    assert code(refused) == "VcpuLimitExceeded"
    account.launch("10.79.0.13", **SPOT)
    with pytest.raises(ClientError) as refused:
        account.launch("10.79.0.14", **SPOT)
    assert code(refused) == "MaxSpotInstanceCountExceeded"
    account.launch("10.79.0.15", InstanceType="g6.48xlarge")


def test_a_sixth_elastic_ip_is_refused(account: Account) -> None:
    for _ in range(5):
        account.ec2.allocate_address(Domain="vpc")
    with pytest.raises(ClientError) as refused:
        account.ec2.allocate_address(Domain="vpc")
    assert code(refused) == "AddressLimitExceeded"


def test_a_one_time_spot_instance_cannot_be_stopped(account: Account) -> None:
    once = account.launch("10.79.0.11", **SPOT)
    again = account.launch("10.79.0.12")
    with pytest.raises(ClientError) as refused:
        account.ec2.stop_instances(InstanceIds=[once])
    assert code(refused) == "UnsupportedOperation"
    account.ec2.stop_instances(InstanceIds=[again])


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("10.79.0.11", "InvalidIPAddress.InUse"),
        ("10.79.0.200", "InvalidParameterValue"),
        ("10.79.0.3", "InvalidParameterValue"),
    ],
)
def test_a_private_address_that_is_taken_or_not_the_subnets_is_refused(
    account: Account, address: str, expected: str
) -> None:
    account.interface("10.79.0.11")
    with pytest.raises(ClientError) as refused:
        account.interface(address)
    assert code(refused) == expected


def test_an_unknown_image_key_pair_or_placement_group_is_refused(account: Account) -> None:
    cases: Sequence[tuple[dict[str, Any], str]] = (
        ({"ImageId": "ami-00000000"}, "InvalidAMIID.NotFound"),
        ({"KeyName": "lost"}, "InvalidKeyPair.NotFound"),
        ({"Placement": {"GroupName": "lost"}}, "InvalidPlacementGroup.Unknown"),
    )
    for more, expected in cases:
        with pytest.raises(ClientError) as refused:
            account.launch(interfaces=[account.plain], **more)
        assert code(refused) == expected


def test_a_placement_group_stays_in_one_zone(account: Account) -> None:
    account.ec2.create_placement_group(GroupName="near", Strategy="cluster")
    account.launch("10.79.0.11", Placement={"GroupName": "near"})
    far = account.interface("10.79.0.140", account.subnet_in("us-east-1b", "10.79.0.128/25"))
    with pytest.raises(ClientError) as refused:
        account.launch(
            interfaces=[{"DeviceIndex": 0, "NetworkInterfaceId": far}], Placement={"GroupName": "near"}
        )
    assert code(refused) == "InvalidPlacementGroup.InUse"


def test_what_is_still_used_cannot_be_deleted(account: Account) -> None:
    ec2 = account.ec2
    interface = account.interface("10.79.0.11")
    account.ec2.create_placement_group(GroupName="near", Strategy="cluster")
    first = [{"DeviceIndex": 0, "NetworkInterfaceId": interface}]
    instance = account.launch(interfaces=first, Placement={"GroupName": "near"})
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=account.vpc)
    allocation = ec2.allocate_address(Domain="vpc")["AllocationId"]
    associated = ec2.associate_address(AllocationId=allocation, NetworkInterfaceId=interface)
    steps: Sequence[tuple[str, Callable[[], Any]]] = (
        ("InvalidPlacementGroup.InUse", lambda: ec2.delete_placement_group(GroupName="near")),
        ("InvalidNetworkInterface.InUse", lambda: ec2.delete_network_interface(NetworkInterfaceId=interface)),
        ("DependencyViolation", lambda: ec2.delete_security_group(GroupId=account.group)),
        ("DependencyViolation", lambda: ec2.delete_subnet(SubnetId=account.subnet)),
        ("InvalidIPAddress.InUse", lambda: ec2.release_address(AllocationId=allocation)),
        (
            "DependencyViolation",
            lambda: ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=account.vpc),
        ),
        ("DependencyViolation", lambda: ec2.delete_vpc(VpcId=account.vpc)),
    )
    for expected, delete in steps:
        with pytest.raises(ClientError) as refused:
            delete()
        assert code(refused) == expected
    ec2.terminate_instances(InstanceIds=[instance])
    ec2.disassociate_address(AssociationId=associated["AssociationId"])
    ec2.release_address(AllocationId=allocation)
    ec2.delete_placement_group(GroupName="near")
    ec2.delete_network_interface(NetworkInterfaceId=interface)
    ec2.delete_security_group(GroupId=account.group)
    ec2.delete_subnet(SubnetId=account.subnet)
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=account.vpc)
    ec2.delete_internet_gateway(InternetGatewayId=gateway)
    ec2.delete_vpc(VpcId=account.vpc)
