"""Asks the account, all questions side by side and bounded; what goes wrong is no answer, never an error."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import wait as wait_for
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, TypeVar

from account import quotas
from account.fleet import Fleet, tags_in
from account.login import Login, LoginError
from account.networks import interfaces_in, routes_of, vpcs
from account.requirements import Batch, Wanted
from account.responses import (
    Addresses,
    Answer,
    Answers,
    Bought,
    Image,
    Instance,
    NoAnswer,
    Price,
    Quota,
    Reply,
    Reservation,
    Subnet,
)
from nodectl.common.redaction import without_known_secrets
from planning.aws.catalogue import InstanceType, instance_type
from settings.aws.target import PurchaseOption

if TYPE_CHECKING:
    from mypy_boto3_ec2 import EC2Client
    from mypy_boto3_ec2.type_defs import CapacityReservationTypeDef, InstanceTypeDef
    from mypy_boto3_pricing import PricingClient
    from mypy_boto3_service_quotas import ServiceQuotasClient
    from mypy_boto3_ssm import SSMClient
    from mypy_boto3_sts import STSClient

POLL_SECONDS: Final = 5.0
"""How often EC2 is asked again about something that takes it minutes."""

PRICING_REGION: Final = "us-east-1"
"""The price list is served from few regions, this one among them, for all."""

LINUX: Final = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
"""What the price list calls an instance without a license of its own, on hardware that is nobody's alone."""

_HOME: Final = "us-east-1"
"""A region that no account can turn off knows which of the others are on."""

_OVERALL_SECONDS: Final = 20
"""For all questions: whatever is not answered then is not waited for."""

_DENIED: Final = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_THERE: Final = ("pending", "running", "stopping", "stopped")
_LINUX: Final = "Linux/UNIX"
_SHOWN: Final = 160
"""Characters of what AWS said that are passed on."""

T = TypeVar("T")


@dataclass(frozen=True)
class Clients:
    """One client a service: they are made one after another, and used by all threads."""

    ec2: "EC2Client"
    home: "EC2Client"
    quotas: "ServiceQuotasClient"
    pricing: "PricingClient"
    ssm: "SSMClient"
    sts: "STSClient"


class Question(Enum):
    """What is asked, for a reader, and its IAM action; `sts:GetCallerIdentity` needs no permission."""

    CALLER = ("whose account it is", "sts:GetCallerIdentity")
    REGION = ("whether the region is enabled", "ec2:DescribeRegions")
    OFFERINGS = ("which zones offer the instance types", "ec2:DescribeInstanceTypeOfferings")
    TYPES = ("what the instance types have", "ec2:DescribeInstanceTypes")
    INSTANCES = ("which instances run", "ec2:DescribeInstances")
    QUOTAS = ("quotas", "servicequotas:GetServiceQuota")
    RESERVATION = ("the capacity reservation", "ec2:DescribeCapacityReservations")
    SUBNET = ("the subnet", "ec2:DescribeSubnets")
    ADDRESSES = ("Elastic IPs", "ec2:DescribeAddresses")
    IMAGE = ("the image", "ec2:DescribeImages")
    ROUTES = ("the subnet's routes", "ec2:DescribeRouteTables")
    INTERFACES = ("which addresses of the subnet are taken", "ec2:DescribeNetworkInterfaces")
    VPCS = ("VPCs", "ec2:DescribeVpcs")
    MACHINE_IMAGE = ("what the image is", "ec2:DescribeImages")
    PARAMETER = ("the Deep Learning AMI", "ssm:GetParameter")
    PRICES = ("prices", "pricing:GetProducts")
    SPOT_PRICES = ("prices", "ec2:DescribeSpotPriceHistory")

    def __init__(self, what: str, action: str) -> None:
        self.what, self.action = what, action


def ask(wanted: Wanted, fleet: Fleet, login: Login) -> Answers | NoAnswer:
    """Ask everything that `wanted` raises. NoAnswer where nobody can be asked as the provider would."""
    try:
        clients = _clients(login)
    except LoginError as error:
        return NoAnswer("anything", str(error))
    pool = ThreadPoolExecutor(max_workers=16)
    try:
        return _all(_Asking(pool, []), clients, wanted, fleet)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _Asking:
    """Questions under way."""

    pool: ThreadPoolExecutor
    under_way: list["Future[Any]"]

    def later(
        self, question: Question, answer: Callable[[], T], *, needed: bool = True
    ) -> Callable[[], Reply[T]]:
        """Ask in a thread; return what waits for the reply."""
        if not needed:
            return lambda: None
        future = self.pool.submit(reply, question, answer)
        self.under_way.append(future)
        return lambda: future.result() if future.done() else NoAnswer(question.what, _late())


def _all(asking: _Asking, clients: Clients, wanted: Wanted, fleet: Fleet) -> Answers:
    ec2, later, reserved = clients.ec2, asking.later, wanted.reservation
    own_image = wanted.image.startswith("ami-")
    spot = any(batch.option == "spot" for batch in wanted.batches)
    caller = later(Question.CALLER, lambda: clients.sts.get_caller_identity()["Account"])
    enabled = later(Question.REGION, lambda: region_enabled(clients.home, wanted.region))
    offered = later(Question.OFFERINGS, lambda: offerings(ec2, wanted.types))
    types = later(Question.TYPES, lambda: described(ec2, wanted.types))
    running = later(Question.INSTANCES, lambda: instances(ec2))
    limits = later(
        Question.QUOTAS, lambda: limits_of(clients.quotas, (*wanted.quotas, quotas.ELASTIC_IPS, quotas.VPCS))
    )
    reservation = later(
        Question.RESERVATION, lambda: reservation_of(ec2, reserved or ""), needed=bool(reserved)
    )
    subnet = later(Question.SUBNET, lambda: subnet_of(ec2, wanted.subnet or ""), needed=bool(wanted.subnet))
    elastic = later(Question.ADDRESSES, lambda: addresses(ec2, fleet), needed=wanted.elastic_ips > 0)
    image = later(
        Question.IMAGE if own_image else Question.PARAMETER,
        lambda: image_of(ec2, wanted.image) if own_image else parameter(clients.ssm, wanted.image),
    )
    prices = later(
        Question.SPOT_PRICES if spot else Question.PRICES,
        lambda: tuple(price for batch in wanted.batches for price in prices_of(clients, wanted, batch)),
    )
    place, vpc = wanted.subnet or "", wanted.vpc or ""
    routes = later(Question.ROUTES, lambda: routes_of(ec2, place, vpc), needed=bool(place))
    taken = later(Question.INTERFACES, lambda: interfaces_in(ec2, place, fleet), needed=bool(place))
    networks = later(Question.VPCS, lambda: vpcs(ec2, fleet), needed=wanted.vpcs > 0)
    machine = later(
        Question.MACHINE_IMAGE,
        lambda: machine_image(ec2, wanted.image if own_image else parameter(clients.ssm, wanted.image)),
    )
    wait_for(asking.under_way, timeout=_OVERALL_SECONDS)
    return Answers(
        caller=caller(),
        region_enabled=enabled(),
        offerings=offered(),
        types=types(),
        instances=running(),
        quotas=limits(),
        reservation=reservation(),
        subnet=subnet(),
        addresses=elastic(),
        image=image(),
        prices=prices(),
        routes=routes(),
        interfaces=taken(),
        vpcs=networks(),
        machine_image=machine(),
    )


def _clients(login: Login) -> Clients:
    """Return the clients. Raises LoginError where nobody can be asked as the provider would."""
    client = login.open().client
    return Clients(
        ec2=client("ec2"),
        home=client("ec2", _home(login.region)),
        quotas=client("service-quotas"),
        pricing=client("pricing", PRICING_REGION),
        ssm=client("ssm"),
        sts=client("sts", login.asks.sts_region),
    )


def _home(region: str) -> str:
    """Return where to ask about a region: other partitions than the commercial one know only their own."""
    return region if region.startswith(("cn-", "us-gov-")) else _HOME


def reply(question: Question, answer: Callable[[], T]) -> Answer[T] | NoAnswer:
    """Return the answer as a live one, or why there is none."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    try:
        return Answer(answer(), "live", datetime.now(UTC))
    except ClientError as error:
        return NoAnswer(question.what, _refused(question, error.response["Error"]))
    except BotoCoreError as error:
        return NoAnswer(question.what, _one_line(str(error)))
    except (ResponseParserError, KeyError, ValueError):  # a proxy's page, or another API behind the URL
        return NoAnswer(question.what, "what was answered is not AWS's")


def _refused(question: Question, error: Mapping[str, Any]) -> str:
    code = error.get("Code", "")
    if code in _DENIED:
        return f"denied, allow {question.action}"
    if code.isdigit():  # no answer of AWS's own, but of what stands between
        return f"HTTP {code}"
    return _one_line(f"{code}: {error.get('Message', '')}")


def region_enabled(home: "EC2Client", region: str) -> bool:
    """Return whether the account may use the region."""
    found = home.describe_regions(Filters=[{"Name": "region-name", "Values": [region]}], AllRegions=True)[
        "Regions"
    ]
    return bool(found) and found[0].get("OptInStatus") != "not-opted-in"


def offerings(ec2: "EC2Client", types: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the zones that offer each type, in order; none for a type that the region has not."""
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": list(types)}]
    )
    found = [
        (each["InstanceType"], each["Location"]) for page in pages for each in page["InstanceTypeOfferings"]
    ]
    return {name: tuple(sorted(zone for kind, zone in found if kind == name)) for name in types}


def described(ec2: "EC2Client", types: Sequence[str]) -> dict[str, InstanceType]:
    """Return what EC2 says of the types, as the catalogue has it; without those that the region has not."""
    pages = ec2.get_paginator("describe_instance_types").paginate(
        Filters=[{"Name": "instance-type", "Values": list(types)}]
    )
    found = (instance_type(each) for page in pages for each in page["InstanceTypes"])
    return {each.name: each for each in found if each is not None}


def instances(ec2: "EC2Client", ids: Sequence[str] = ()) -> tuple[Instance, ...]:
    """Return the instances that are not gone, of these ids or of the whole account."""
    only = [{"Name": "instance-id", "Values": list(ids)}] if ids else []
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "instance-state-name", "Values": list(_THERE)}, *only]  # type: ignore[list-item]
    )
    return tuple(
        _instance(each) for page in pages for group in page["Reservations"] for each in group["Instances"]
    )


def _instance(said: "InstanceTypeDef") -> Instance:
    tags = _tags(said)
    cpus = said.get("CpuOptions", {})
    bought: dict[str | None, Bought] = {"spot": "spot", "capacity-block": "capacity-block"}
    return Instance(
        id=said["InstanceId"],
        name=tags.get("Name", ""),
        type=said["InstanceType"],
        zone=said["Placement"].get("AvailabilityZone", ""),
        state=said["State"]["Name"],
        bought=bought.get(said.get("InstanceLifecycle"), "on-demand"),
        vcpus=cpus.get("CoreCount", 0) * cpus.get("ThreadsPerCore", 0),
        reservation=said.get("CapacityReservationId"),
        tags=tags,
    )


def limits_of(service: "ServiceQuotasClient", codes: Sequence[str]) -> dict[str, Quota]:
    """Return the account's quotas; where nothing was ever asked for, AWS's default."""
    return {quota.code: quota for code in dict.fromkeys(codes) for quota in _limit(service, code)}


def _limit(service: "ServiceQuotasClient", code: str) -> Iterator[Quota]:
    missing = service.exceptions.NoSuchResourceException
    try:
        said = service.get_service_quota(ServiceCode=quotas.service(code), QuotaCode=code)["Quota"]
    except missing:
        try:
            said = service.get_aws_default_service_quota(ServiceCode=quotas.service(code), QuotaCode=code)[
                "Quota"
            ]
        except missing:
            return  # a region, or a partition, that has it not
    yield Quota(code, said.get("QuotaName", code), int(said["Value"]))


def reservation_of(ec2: "EC2Client", name: str) -> Reservation | None:
    """Return a capacity reservation or block; None where the account has no such one in the region."""
    found = _found(
        lambda: ec2.describe_capacity_reservations(CapacityReservationIds=[name])["CapacityReservations"],
        "InvalidCapacityReservationId",
    )
    return _reservation(found[0]) if found else None


def _reservation(said: "CapacityReservationTypeDef") -> Reservation:
    group = said.get("PlacementGroupArn")
    option: PurchaseOption = (
        "capacity-block" if said.get("ReservationType") == "capacity-block" else "reservation"
    )
    return Reservation(
        id=said["CapacityReservationId"],
        option=option,
        type=said["InstanceType"],
        zone=said.get("AvailabilityZone", ""),
        state=said["State"],
        total=said["TotalInstanceCount"],
        free=said["AvailableInstanceCount"],
        starts=said.get("StartDate"),
        ends=said.get("EndDate"),
        placement_group=group.rpartition("/")[2] if group else None,
    )


def subnet_of(ec2: "EC2Client", name: str) -> Subnet | None:
    """Return an existing subnet; None where there is no such one."""
    found = _found(lambda: ec2.describe_subnets(SubnetIds=[name])["Subnets"], "InvalidSubnetID")
    if not found:
        return None
    return Subnet(name, found[0]["VpcId"], found[0]["AvailabilityZone"], found[0]["CidrBlock"])


def image_of(ec2: "EC2Client", name: str) -> str | None:
    """Return the id of an image that can be used; None where there is no such one."""
    found = _found(lambda: ec2.describe_images(ImageIds=[name])["Images"], "InvalidAMIID")
    return name if any(image.get("State") == "available" for image in found) else None


def machine_image(ec2: "EC2Client", name: str | None) -> Image | None:
    """Return what an image is; None where there is no such one."""
    found = _found(lambda: ec2.describe_images(ImageIds=[name or ""])["Images"], "InvalidAMIID")
    if not found:
        return None
    said = found[0]
    disks = {disk.get("DeviceName", ""): disk.get("Ebs", {}) for disk in said.get("BlockDeviceMappings", [])}
    return Image(
        id=said["ImageId"],
        architecture=said.get("Architecture", ""),
        root_device=said.get("RootDeviceName", ""),
        root_gib=disks.get(said.get("RootDeviceName", ""), {}).get("VolumeSize", 0),
        on_ebs=said.get("RootDeviceType") != "instance-store",
    )


def parameter(ssm: "SSMClient", name: str) -> str | None:
    """Return the image that a parameter of AWS's names; None where the region has no such parameter."""
    try:
        return ssm.get_parameter(Name=name)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        return None


def addresses(ec2: "EC2Client", fleet: Fleet) -> Addresses:
    """Return how many Elastic IPs the account has: the stack's, and others."""
    found = [fleet.owns(_tags(each)) for each in ec2.describe_addresses()["Addresses"]]
    return Addresses(ours=sum(found), others=len(found) - sum(found))


def prices_of(clients: Clients, wanted: Wanted, batch: Batch) -> Iterator[Price]:
    """Yield the price of one instance; nothing where there is no list price, as for capacity blocks."""
    if batch.option == "spot":
        said = clients.ec2.describe_spot_price_history(
            Filters=[{"Name": "instance-type", "Values": [batch.type]}],
            ProductDescriptions=[_LINUX],
            AvailabilityZone=wanted.zone,
            StartTime=datetime.now(UTC),
        )["SpotPriceHistory"]
        found = max(said, key=lambda each: each["Timestamp"], default=None)
        hourly = float(found["SpotPrice"]) if found else None
    elif batch.option == "capacity-block":
        hourly = None
    else:
        hourly = list_price(clients.pricing, batch.type, wanted.region)
    if hourly:
        yield Price(batch.type, batch.option, hourly)


def list_price(pricing: "PricingClient", name: str, region: str) -> float | None:
    """Return the on-demand price in US dollars an hour, Linux, shared tenancy; None where there is none.

    Unused reserved capacity costs the same. The price list holds the product as a text of JSON.
    """
    fields = {**LINUX, "instanceType": name, "regionCode": region}
    said = pricing.get_products(
        ServiceCode="AmazonEC2",
        Filters=[{"Type": "TERM_MATCH", "Field": key, "Value": value} for key, value in fields.items()],
    )["PriceList"]
    found = [price for product in said for price in _dollars(json.loads(product))]
    return max(found, default=None)


def _dollars(product: Mapping[str, Any]) -> Iterator[float]:
    for term in product["terms"].get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            if dimension["unit"] == "Hrs" and "USD" in dimension["pricePerUnit"]:
                yield float(dimension["pricePerUnit"]["USD"])


def _found(ask_for: Callable[[], Sequence[T]], missing: str) -> Sequence[T]:
    """Return what is found by its id; nothing where EC2 says that there is no such id."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        return ask_for()
    except ClientError as error:
        if error.response["Error"].get("Code", "").startswith(missing):
            return ()
        raise


def _tags(said: Mapping[str, Any]) -> dict[str, str]:
    return tags_in(said.get("Tags", []))


def _late() -> str:
    return f"no answer within {_OVERALL_SECONDS} s"


def _one_line(text: str) -> str:
    return without_known_secrets(" ".join(text.split()))[:_SHOWN]
