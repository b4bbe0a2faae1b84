"""Query the account, all questions in parallel and with time limits. A failed query is a NoAnswer."""

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
from account.requirements import Batch, Requirements
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
"""Interval of polling EC2 while an operation takes minutes."""

PRICING_REGION: Final = "us-east-1"
"""The price list of all regions is served from a few, this one among them."""

LINUX: Final = {
    "operatingSystem": "Linux",
    "tenancy": "Shared",
    "preInstalledSw": "NA",
    "capacitystatus": "Used",
}
"""Fields of the price list for Linux without extra license, on shared hardware."""

_GLOBAL_REGION: Final = "us-east-1"
"""A region that no account can disable; it knows which other regions are enabled."""

_OVERALL_SECONDS: Final = 20
"""Time limit for all questions together; questions still open then get a NoAnswer."""

_DENIED_CODES: Final = ("AccessDenied", "AccessDeniedException", "UnauthorizedOperation")
_EXISTING_STATES: Final = ("pending", "running", "stopping", "stopped")
_LINUX: Final = "Linux/UNIX"
_MESSAGE_LENGTH: Final = 160
"""Most characters of an AWS message that are shown."""

T = TypeVar("T")


@dataclass(frozen=True)
class Clients:
    """One client for each service, shared by all threads."""

    ec2: "EC2Client"
    home: "EC2Client"
    quotas: "ServiceQuotasClient"
    pricing: "PricingClient"
    ssm: "SSMClient"
    sts: "STSClient"


class Question(Enum):
    """A question's subject, as users see it, and IAM action; GetCallerIdentity needs no permission."""

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

    def __init__(self, subject: str, action: str) -> None:
        self.subject, self.action = subject, action


def ask(requirements: Requirements, fleet: Fleet, login: Login) -> Answers | NoAnswer:
    """Query everything that `requirements` need; NoAnswer if look-ups cannot act as the provider would."""
    try:
        clients = _clients(login)
    except LoginError as error:
        return NoAnswer("anything", str(error))
    pool = ThreadPoolExecutor(max_workers=16)
    try:
        return _all_answers(_Queries(pool, []), clients, requirements, fleet)
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


@dataclass(frozen=True)
class _Queries:
    """Queries in progress."""

    pool: ThreadPoolExecutor
    futures: list["Future[Any]"]

    def submit(
        self, question: Question, answer: Callable[[], T], *, applicable: bool = True
    ) -> Callable[[], Reply[T]]:
        """Run a query in a thread; return a function that gives its reply, None if not `applicable`."""
        if not applicable:
            return lambda: None
        future = self.pool.submit(reply, question, answer)
        self.futures.append(future)
        return lambda: future.result() if future.done() else NoAnswer(question.subject, _timeout_message())


def _all_answers(queries: _Queries, clients: Clients, requirements: Requirements, fleet: Fleet) -> Answers:
    ec2, submit, reservation_id = clients.ec2, queries.submit, requirements.reservation
    own_image = requirements.image.startswith("ami-")
    uses_spot = any(batch.option == "spot" for batch in requirements.batches)
    caller = submit(Question.CALLER, lambda: clients.sts.get_caller_identity()["Account"])
    enabled = submit(Question.REGION, lambda: region_enabled(clients.home, requirements.region))
    zones = submit(Question.OFFERINGS, lambda: offerings(ec2, requirements.types))
    types = submit(Question.TYPES, lambda: described(ec2, requirements.types))
    running = submit(Question.INSTANCES, lambda: instances(ec2))
    quota_limits = submit(
        Question.QUOTAS,
        lambda: limits_of(clients.quotas, (*requirements.quotas, quotas.ELASTIC_IPS, quotas.VPCS)),
    )
    reservation = submit(
        Question.RESERVATION,
        lambda: reservation_of(ec2, reservation_id or ""),
        applicable=bool(reservation_id),
    )
    subnet = submit(
        Question.SUBNET,
        lambda: subnet_of(ec2, requirements.subnet or ""),
        applicable=bool(requirements.subnet),
    )
    elastic = submit(
        Question.ADDRESSES, lambda: addresses(ec2, fleet), applicable=requirements.elastic_ips > 0
    )
    image = submit(
        Question.IMAGE if own_image else Question.PARAMETER,
        lambda: (
            image_of(ec2, requirements.image) if own_image else parameter(clients.ssm, requirements.image)
        ),
    )
    prices = submit(
        Question.SPOT_PRICES if uses_spot else Question.PRICES,
        lambda: tuple(
            price for batch in requirements.batches for price in prices_of(clients, requirements, batch)
        ),
    )
    subnet_id, vpc_id = requirements.subnet or "", requirements.vpc or ""
    routes = submit(Question.ROUTES, lambda: routes_of(ec2, subnet_id, vpc_id), applicable=bool(subnet_id))
    interfaces = submit(
        Question.INTERFACES, lambda: interfaces_in(ec2, subnet_id, fleet), applicable=bool(subnet_id)
    )
    networks = submit(Question.VPCS, lambda: vpcs(ec2, fleet), applicable=requirements.vpcs > 0)
    image_details = submit(
        Question.MACHINE_IMAGE,
        lambda: machine_image(
            ec2, requirements.image if own_image else parameter(clients.ssm, requirements.image)
        ),
    )
    wait_for(queries.futures, timeout=_OVERALL_SECONDS)
    return Answers(
        caller=caller(),
        region_enabled=enabled(),
        offerings=zones(),
        types=types(),
        instances=running(),
        quotas=quota_limits(),
        reservation=reservation(),
        subnet=subnet(),
        addresses=elastic(),
        image=image(),
        prices=prices(),
        routes=routes(),
        interfaces=interfaces(),
        vpcs=networks(),
        machine_image=image_details(),
    )


def _clients(login: Login) -> Clients:
    """Return the clients. Raises LoginError if look-ups cannot act as the provider would."""
    client = login.open().client
    return Clients(
        ec2=client("ec2"),
        home=client("ec2", _region_to_ask(login.region)),
        quotas=client("service-quotas"),
        pricing=client("pricing", PRICING_REGION),
        ssm=client("ssm"),
        sts=client("sts", login.identity.sts_region),
    )


def _region_to_ask(region: str) -> str:
    """Return the region to query about `region`: other partitions than the commercial know their own."""
    return region if region.startswith(("cn-", "us-gov-")) else _GLOBAL_REGION


def reply(question: Question, answer: Callable[[], T]) -> Answer[T] | NoAnswer:
    """Run a query; return its live answer, or the reason why there is none."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415
    from botocore.parsers import ResponseParserError  # noqa: PLC0415

    try:
        return Answer(answer(), "live", datetime.now(UTC))
    except ClientError as error:
        return NoAnswer(question.subject, _refusal(question, error.response["Error"]))
    except BotoCoreError as error:
        return NoAnswer(question.subject, _one_line(str(error)))
    except (ResponseParserError, KeyError, ValueError):  # a proxy's error page, or another API at the URL
        return NoAnswer(question.subject, "what was answered is not AWS's")


def _refusal(question: Question, error: Mapping[str, Any]) -> str:
    code = error.get("Code", "")
    if code in _DENIED_CODES:
        return f"denied, allow {question.action}"
    if code.isdigit():  # the answer of a proxy, not of AWS
        return f"HTTP {code}"
    return _one_line(f"{code}: {error.get('Message', '')}")


def region_enabled(home: "EC2Client", region: str) -> bool:
    """Return whether the account may use the region."""
    regions = home.describe_regions(Filters=[{"Name": "region-name", "Values": [region]}], AllRegions=True)[
        "Regions"
    ]
    return bool(regions) and regions[0].get("OptInStatus") != "not-opted-in"


def offerings(ec2: "EC2Client", types: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return the zones that offer each type, sorted; empty for a type that the region does not offer."""
    pages = ec2.get_paginator("describe_instance_type_offerings").paginate(
        LocationType="availability-zone", Filters=[{"Name": "instance-type", "Values": list(types)}]
    )
    pairs = [
        (offering["InstanceType"], offering["Location"])
        for page in pages
        for offering in page["InstanceTypeOfferings"]
    ]
    return {name: tuple(sorted(zone for kind, zone in pairs if kind == name)) for name in types}


def described(ec2: "EC2Client", types: Sequence[str]) -> dict[str, InstanceType]:
    """Return EC2's descriptions in the catalogue's form, without types that the region does not offer."""
    pages = ec2.get_paginator("describe_instance_types").paginate(
        Filters=[{"Name": "instance-type", "Values": list(types)}]
    )
    described_types = (instance_type(entry) for page in pages for entry in page["InstanceTypes"])
    return {entry.name: entry for entry in described_types if entry is not None}


def instances(ec2: "EC2Client", ids: Sequence[str] = ()) -> tuple[Instance, ...]:
    """Return the instances that are not terminated: those with `ids`, or all of the account in the region."""
    id_filter = [{"Name": "instance-id", "Values": list(ids)}] if ids else []
    pages = ec2.get_paginator("describe_instances").paginate(
        Filters=[{"Name": "instance-state-name", "Values": list(_EXISTING_STATES)}, *id_filter]  # type: ignore[list-item]
    )
    return tuple(
        _instance(entry) for page in pages for group in page["Reservations"] for entry in group["Instances"]
    )


def _instance(entry: "InstanceTypeDef") -> Instance:
    tags = _tags(entry)
    cpus = entry.get("CpuOptions", {})
    purchases: dict[str | None, Bought] = {"spot": "spot", "capacity-block": "capacity-block"}
    return Instance(
        id=entry["InstanceId"],
        name=tags.get("Name", ""),
        type=entry["InstanceType"],
        zone=entry["Placement"].get("AvailabilityZone", ""),
        state=entry["State"]["Name"],
        bought=purchases.get(entry.get("InstanceLifecycle"), "on-demand"),
        vcpus=cpus.get("CoreCount", 0) * cpus.get("ThreadsPerCore", 0),
        reservation=entry.get("CapacityReservationId"),
        tags=tags,
    )


def limits_of(service: "ServiceQuotasClient", codes: Sequence[str]) -> dict[str, Quota]:
    """Return the account's quotas, by code; AWS's default if no increase was ever requested."""
    return {quota.code: quota for code in dict.fromkeys(codes) for quota in _limit(service, code)}


def _limit(service: "ServiceQuotasClient", code: str) -> Iterator[Quota]:
    not_listed = service.exceptions.NoSuchResourceException
    try:
        entry = service.get_service_quota(ServiceCode=quotas.service(code), QuotaCode=code)["Quota"]
    except not_listed:
        try:
            entry = service.get_aws_default_service_quota(ServiceCode=quotas.service(code), QuotaCode=code)[
                "Quota"
            ]
        except not_listed:
            return  # the region or partition does not have this quota
    yield Quota(code, entry.get("QuotaName", code), int(entry["Value"]))


def reservation_of(ec2: "EC2Client", name: str) -> Reservation | None:
    """Return a capacity reservation or block; None if the account has none of this id in the region."""
    entries = _lookup(
        lambda: ec2.describe_capacity_reservations(CapacityReservationIds=[name])["CapacityReservations"],
        "InvalidCapacityReservationId",
    )
    return _reservation(entries[0]) if entries else None


def _reservation(entry: "CapacityReservationTypeDef") -> Reservation:
    group = entry.get("PlacementGroupArn")
    option: PurchaseOption = (
        "capacity-block" if entry.get("ReservationType") == "capacity-block" else "reservation"
    )
    return Reservation(
        id=entry["CapacityReservationId"],
        option=option,
        type=entry["InstanceType"],
        zone=entry.get("AvailabilityZone", ""),
        state=entry["State"],
        total=entry["TotalInstanceCount"],
        free=entry["AvailableInstanceCount"],
        starts=entry.get("StartDate"),
        ends=entry.get("EndDate"),
        placement_group=group.rpartition("/")[2] if group else None,
    )


def subnet_of(ec2: "EC2Client", name: str) -> Subnet | None:
    """Return an existing subnet; None if there is none of this id."""
    entries = _lookup(lambda: ec2.describe_subnets(SubnetIds=[name])["Subnets"], "InvalidSubnetID")
    if not entries:
        return None
    return Subnet(name, entries[0]["VpcId"], entries[0]["AvailabilityZone"], entries[0]["CidrBlock"])


def image_of(ec2: "EC2Client", name: str) -> str | None:
    """Return the id of an image if it is available, else None."""
    images = _lookup(lambda: ec2.describe_images(ImageIds=[name])["Images"], "InvalidAMIID")
    return name if any(image.get("State") == "available" for image in images) else None


def machine_image(ec2: "EC2Client", name: str | None) -> Image | None:
    """Return the details of an image; None if there is none of this id."""
    images = _lookup(lambda: ec2.describe_images(ImageIds=[name or ""])["Images"], "InvalidAMIID")
    if not images:
        return None
    entry = images[0]
    disks = {disk.get("DeviceName", ""): disk.get("Ebs", {}) for disk in entry.get("BlockDeviceMappings", [])}
    return Image(
        id=entry["ImageId"],
        architecture=entry.get("Architecture", ""),
        root_device=entry.get("RootDeviceName", ""),
        root_gib=disks.get(entry.get("RootDeviceName", ""), {}).get("VolumeSize", 0),
        on_ebs=entry.get("RootDeviceType") != "instance-store",
    )


def parameter(ssm: "SSMClient", name: str) -> str | None:
    """Return the image id in a public SSM parameter; None if the region has no such parameter."""
    try:
        return ssm.get_parameter(Name=name)["Parameter"]["Value"]
    except ssm.exceptions.ParameterNotFound:
        return None


def addresses(ec2: "EC2Client", fleet: Fleet) -> Addresses:
    """Count the account's Elastic IPs: the stack's own, and others."""
    owned = [fleet.owns(_tags(address)) for address in ec2.describe_addresses()["Addresses"]]
    return Addresses(own=sum(owned), foreign=len(owned) - sum(owned))


def prices_of(clients: Clients, requirements: Requirements, batch: Batch) -> Iterator[Price]:
    """Yield the price of one instance; nothing if there is no list price, as for capacity blocks."""
    if batch.option == "spot":
        history = clients.ec2.describe_spot_price_history(
            Filters=[{"Name": "instance-type", "Values": [batch.type]}],
            ProductDescriptions=[_LINUX],
            AvailabilityZone=requirements.zone,
            StartTime=datetime.now(UTC),
        )["SpotPriceHistory"]
        latest = max(history, key=lambda entry: entry["Timestamp"], default=None)
        hourly = float(latest["SpotPrice"]) if latest else None
    elif batch.option == "capacity-block":
        hourly = None
    else:
        hourly = list_price(clients.pricing, batch.type, requirements.region)
    if hourly:
        yield Price(batch.type, batch.option, hourly)


def list_price(pricing: "PricingClient", name: str, region: str) -> float | None:
    """Return the on-demand price in US dollars per hour, Linux, shared tenancy; None if there is none.

    Unused reserved capacity costs the same. The price list holds each product as JSON text.
    """
    fields = {**LINUX, "instanceType": name, "regionCode": region}
    products = pricing.get_products(
        ServiceCode="AmazonEC2",
        Filters=[{"Type": "TERM_MATCH", "Field": key, "Value": value} for key, value in fields.items()],
    )["PriceList"]
    hourly = [price for product in products for price in _dollars(json.loads(product))]
    return max(hourly, default=None)


def _dollars(product: Mapping[str, Any]) -> Iterator[float]:
    for term in product["terms"].get("OnDemand", {}).values():
        for dimension in term["priceDimensions"].values():
            if dimension["unit"] == "Hrs" and "USD" in dimension["pricePerUnit"]:
                yield float(dimension["pricePerUnit"]["USD"])


def _lookup(describe: Callable[[], Sequence[T]], error_code: str) -> Sequence[T]:
    """Return the result of `describe`; empty if EC2 reports `error_code`, that the id does not exist."""
    from botocore.exceptions import ClientError  # noqa: PLC0415

    try:
        return describe()
    except ClientError as error:
        if error.response["Error"].get("Code", "").startswith(error_code):
            return ()
        raise


def _tags(entry: Mapping[str, Any]) -> dict[str, str]:
    return tags_in(entry.get("Tags", []))


def _timeout_message() -> str:
    return f"no answer within {_OVERALL_SECONDS} s"


def _one_line(text: str) -> str:
    return without_known_secrets(" ".join(text.split()))[:_MESSAGE_LENGTH]
