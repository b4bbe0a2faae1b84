"""`python -m tools.prices [REGION …]`: writes planning/sizing/prices.json from AWS's price list.

Needs credentials that may call `pricing:GetProducts`. Without regions it takes those that the file has.
Prices are those of Linux on demand, in US dollars.
"""

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import boto3

from account.queries import LINUX, PRICING_REGION
from nodectl.common.commandline import CommandLine
from planning.aws.catalogue import INSTANCE_TYPES
from planning.sizing.cost import ENDPOINT, FILE, GP3_GB, GP3_IOPS, GP3_THROUGHPUT, NAT_GATEWAY, PUBLIC_ADDRESS

if TYPE_CHECKING:
    from mypy_boto3_pricing import PricingClient

_RESOURCES: Final[Mapping[str, tuple[str, Mapping[str, str], str]]] = {
    NAT_GATEWAY: ("AmazonEC2", {"productFamily": "NAT Gateway"}, "NatGateway-Hours"),
    PUBLIC_ADDRESS: ("AmazonVPC", {"group": "VPCPublicIPv4Address"}, "PublicIPv4:InUseAddress"),
    ENDPOINT: ("AmazonVPC", {"productFamily": "VpcEndpoint"}, "VpcEndpoint-Hours"),
    GP3_GB: ("AmazonEC2", {"volumeApiName": "gp3"}, "EBS:VolumeUsage.gp3"),
    GP3_IOPS: ("AmazonEC2", {"volumeApiName": "gp3"}, "EBS:VolumeP-IOPS.gp3"),
    GP3_THROUGHPUT: ("AmazonEC2", {"volumeApiName": "gp3"}, "EBS:VolumeP-Throughput.gp3"),
}
"""Service, filters, and usage type without the region's prefix: filters alone would match traffic as well."""

_PER_MIBPS: Final = {"GiBps-mo": 1024}
"""Unit of throughput in the price list -> MiB/s per unit."""


def prices(client: "PricingClient", region: str) -> dict[str, Any]:
    """Return the prices of one region in the form of the data file, without types that have none."""
    prices_by_name: dict[str, Any] = {"instances": {}}
    for name in sorted(INSTANCE_TYPES):
        linux = {**LINUX, "instanceType": name, "regionCode": region}
        if price := _price(client, "AmazonEC2", linux, f"BoxUsage:{name}"):
            prices_by_name["instances"][name] = price
    for name, (service, filters, usage) in _RESOURCES.items():
        if price := _price(client, service, {**filters, "regionCode": region}, usage):
            prices_by_name[name] = price
    return prices_by_name


def _price(client: "PricingClient", service: str, filters: Mapping[str, str], usage: str) -> float | None:
    """Return the price of a usage type, without free tiers; None if there is none."""
    positive = {price for price in _prices(client, service, filters, usage) if price > 0}
    if len(positive) > 1:
        raise SystemExit(f"{service} {usage} has several prices, expected one: {sorted(positive)}")
    return positive.pop() if positive else None


def _prices(client: "PricingClient", service: str, filters: Mapping[str, str], usage: str) -> Iterator[float]:
    pages = client.get_paginator("get_products").paginate(
        ServiceCode=service,
        Filters=[{"Type": "TERM_MATCH", "Field": key, "Value": value} for key, value in filters.items()],
    )
    for page in pages:
        for text in page["PriceList"]:
            product = json.loads(text)
            usage_type: str = product["product"]["attributes"].get("usagetype", "")
            if usage_type != usage and not usage_type.endswith(f"-{usage}"):
                continue
            for term in product["terms"].get("OnDemand", {}).values():
                for dimension in term["priceDimensions"].values():
                    price = float(dimension["pricePerUnit"]["USD"])
                    yield round(price / _PER_MIBPS.get(dimension["unit"], 1), 6)


def document(client: "PricingClient", regions: Sequence[str], day: str) -> str:
    """Return the content of the data file. `day` is an ISO date."""
    body = {
        "date": day,
        "source": "AWS's price list, Linux on demand",
        "regions": {region: prices(client, region) for region in regions},
    }
    return json.dumps(body, indent=1) + "\n"


if __name__ == "__main__":
    parser = CommandLine(prog="python -m tools.prices", description=__doc__)
    parser.add_argument("regions", nargs="*", metavar="REGION", help="default: those that the file has")
    wanted = parser.parse_args().regions or list(json.loads(FILE.read_text(encoding="utf-8"))["regions"])
    today = datetime.now(UTC).date().isoformat()
    FILE.write_text(document(boto3.client("pricing", region_name=PRICING_REGION), wanted, today), "utf-8")
    print(f"wrote {FILE}: {', '.join(wanted)}", file=sys.stderr)
