"""Cost of a plan: by the snapshot, by live prices, and with unknown prices."""

import json
from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from planning import plan, unmet_preconditions
from planning.aws.catalogue import INSTANCE_TYPES
from planning.sizing.cost import FILE, HOURS_A_MONTH, Cost, cost
from planning.values import Plan
from tests.unit.plan_examples import AWS, agg, settings
from tools.prices import document, prices

VOLUME = (200 * 0.08 + 3000 * 0.005 + 375 * 0.04) / HOURS_A_MONTH
"""200 GiB of gp3 with 6,000 operations and 500 MiB a second."""

RESERVED_IN = {"reservationId": "cr-01234567"}
BLOCK = {"option": "capacity-block", **RESERVED_IN}
RESERVED = {"option": "reservation", **RESERVED_IN}


PREINSTALLED = {
    "kind": "preinstalled",
    "path": "/opt/dynamo",
    "wheels": "/srv/wheels",
    "stores": {"source": "bundled"},
}


def planned(*, head: str = "colocated", limit: float | None = None, **target: Any) -> Plan:
    """Return a plan of two p5.48xlarge, by default on demand in us-east-1."""
    roles = {"aggregated": {"replicas": 2, "parallelism": {"tensor": 8}}}
    most = {"maxHourly": limit} if limit else {}
    return plan(
        settings(
            "agg", roles, target=AWS | target, engine="mocker", head=head, cost=most, runtime=PREINSTALLED
        )
    )


def costs(of: Plan, *live: Any) -> Cost:
    found = cost(of, *live)
    assert found is not None
    return found


def test_everything_that_runs_by_the_hour_is_counted() -> None:
    found = costs(planned(head="dedicated"))
    assert {item.what: (item.count, item.each) for item in found.items} == {
        "p5.48xlarge": (2, 55.04),
        "m7i.2xlarge": (1, 0.4032),
        "root volume": (3, pytest.approx(VOLUME)),
        "NAT gateway": (1, 0.045),
        "public address": (2, 0.005),
    }
    assert found.hourly == pytest.approx(2 * 55.04 + 0.4032 + 3 * VOLUME + 0.045 + 0.01)
    assert found.monthly == pytest.approx(730 * (found.hourly or 0))
    assert found.source == f"snapshot of {json.loads(FILE.read_text())['date']}"
    assert found.certain


def test_a_golden_images_network_has_endpoints_and_no_gateway() -> None:
    found = costs(planned(network={"egress": "endpoints"}, access="ssm", adminRanges=[]))
    counts = {item.what: item.count for item in found.items}
    assert counts == {"p5.48xlarge": 2, "root volume": 2, "endpoint": 4}


def test_live_prices_take_the_place_of_the_snapshots() -> None:
    found = costs(planned(head="dedicated", purchase="spot"), {"p5.48xlarge": 20.0}, "live, us-east-1b")
    assert {item.what: item.each for item in found.items if item.instances} == {
        "p5.48xlarge": 20.0,
        "m7i.2xlarge": 0.4032,
    }
    assert (found.source, found.meaning, found.certain) == ("live, us-east-1b", "", True)


@pytest.mark.parametrize(
    ("purchase", "meaning", "certain"),
    [
        ("on-demand", "", True),
        ("spot", "of on-demand instances, the most that spot costs", False),
        (BLOCK, "of on-demand instances; a capacity block is paid for when it is bought", False),
        (RESERVED, "a reservation costs this while it is held, used or not", True),
    ],
)
def test_the_snapshot_says_what_its_price_means(purchase: Any, meaning: str, certain: bool) -> None:
    found = costs(planned(purchase=purchase, zone="us-east-1b"))
    assert (found.meaning, found.certain) == (meaning, certain)


@pytest.mark.parametrize("given", [{"instanceType": "p5e.48xlarge"}, {"region": "eu-north-1"}])
def test_a_price_that_nobody_knows_is_said_to_be_not_known_and_refuses_nothing(given: dict[str, Any]) -> None:
    of = planned(limit=1, **given)
    found = costs(of)
    assert (found.hourly, found.monthly) == (None, None)
    assert found.unknown[0] == given.get("instanceType", "p5.48xlarge")
    assert unmet_preconditions(of, found) == []


def test_elsewhere_live_prices_are_taken_and_the_rest_is_named() -> None:
    found = costs(planned(region="eu-north-1"), {"p5.48xlarge": 58.0})
    assert found.hourly == 116.0
    assert found.unknown == ("root volume", "NAT gateway", "public address")


def test_machines_that_are_not_bought_have_no_cost() -> None:
    assert cost(plan(agg(2))) is None


def test_more_than_the_limit_is_refused_with_the_sum() -> None:
    of = planned(limit=100)
    [problem] = unmet_preconditions(of, costs(of))
    assert problem.subject == "cost.maxHourly: 100"
    assert problem.message.startswith("the plan costs 110.26 USD an hour (snapshot of ")
    assert "2 x p5.48xlarge = 110.08 + " in problem.message
    assert "lower `replicas`" in problem.message
    assert "`scripts/generate-prices` brings newer prices" in problem.message


def test_within_the_limit_nothing_is_refused_and_a_live_price_decides() -> None:
    of = planned(limit=100)
    assert unmet_preconditions(planned(limit=111), costs(planned(limit=111))) == []
    assert unmet_preconditions(of, costs(of, {"p5.48xlarge": 40.0})) == []
    [problem] = unmet_preconditions(of, costs(of, {"p5.48xlarge": 60.0}))
    assert "generate-prices" not in problem.message


@pytest.mark.parametrize("purchase", ["spot", BLOCK])
def test_a_price_that_is_not_what_is_paid_refuses_nothing(purchase: Any) -> None:
    of = planned(limit=1, purchase=purchase, zone="us-east-1b")
    assert unmet_preconditions(of, costs(of)) == []


def test_every_price_of_the_snapshot_is_of_a_type_that_there_is() -> None:
    file = json.loads(FILE.read_text())
    assert file["source"]
    for region in file["regions"].values():
        assert set(region["instances"]) <= set(INSTANCE_TYPES)
        numbers = [
            *region["instances"].values(),
            *(price for key, price in region.items() if key != "instances"),
        ]
        assert min(numbers) > 0


def product(usage: str, price: str, unit: str = "Hrs") -> str:
    dimension = {"unit": unit, "pricePerUnit": {"USD": price}}
    terms = {"OnDemand": {"a": {"priceDimensions": {"b": dimension}}}} if price else {}
    return json.dumps({"product": {"attributes": {"usagetype": usage}}, "terms": terms})


LIST = {
    "p5.48xlarge": [product("BoxUsage:p5.48xlarge", "55.04"), product("Reservation:p5.48xlarge", "55.04")],
    "m7i.large": [product("BoxUsage:m7i.large", "0.1008"), product("UnusedBox:m7i.large", "0.1008")],
    "p4d.24xlarge": [product("BoxUsage:p4d.24xlarge", "")],
    "NAT Gateway": [
        product("USE1-NatGateway-Hours", "0.045"),
        product("USE1-RegionalNatGateway-Hours", "0.05"),
        product("NatGateway-Bytes", "0.045", "GB"),
    ],
    "VPCPublicIPv4Address": [
        product("USE1-PublicIPv4:InUseAddress", "0.005"),
        product("USE1-PublicIPv4:ContiguousBlock", "0.008"),
    ],
    "VpcEndpoint": [
        product("USE1-VpcEndpoint-Hours", "0.01"),
        product("USE1-VpcEndpoint-Bytes", "0.01", "GB"),
    ],
    "gp3": [
        product("EBS:VolumeUsage.gp3", "0.08", "GB-Mo"),
        product("EBS:VolumeP-IOPS.gp3", "0", "IOPS-Mo"),
        product("EBS:VolumeP-IOPS.gp3", "0.005", "IOPS-Mo"),
        product("EBS:VolumeP-Throughput.gp3", "40.96", "GiBps-mo"),
    ],
}
"""The price list's answers, by the value that its filters look for."""


class PriceList:
    """A client of the price list that knows LIST."""

    def __init__(self) -> None:
        self.asked: list[dict[str, str]] = []

    def get_paginator(self, operation: str) -> "PriceList":
        assert operation == "get_products"
        return self

    def paginate(self, *, ServiceCode: str, Filters: list[dict[str, str]]) -> list[dict[str, Any]]:  # noqa: N803
        wanted = {one["Field"]: one["Value"] for one in Filters}
        assert wanted["regionCode"] == "us-east-1"
        self.asked.append(wanted)
        return [{"PriceList": found} for value in wanted.values() if (found := LIST.get(value))]


def test_the_generator_takes_the_price_of_the_hour_and_no_other() -> None:
    client: Any = PriceList()
    assert prices(client, "us-east-1") == {
        "instances": {"m7i.large": 0.1008, "p5.48xlarge": 55.04},
        "nat-gateway": 0.045,
        "public-ipv4": 0.005,
        "endpoint": 0.01,
        "gp3-gb-month": 0.08,
        "gp3-iops-month": 0.005,
        "gp3-mibps-month": 0.04,
    }
    assert {one["instanceType"] for one in client.asked if "instanceType" in one} == set(INSTANCE_TYPES)


def test_a_usage_type_with_two_prices_stops_the_generator(monkeypatch: pytest.MonkeyPatch) -> None:
    twice = [*LIST["m7i.large"], product("USE1-BoxUsage:m7i.large", "0.2")]
    monkeypatch.setitem(LIST, "m7i.large", twice)
    client: Any = PriceList()
    with pytest.raises(SystemExit, match=r"BoxUsage:m7i.large has several prices"):
        prices(client, "us-east-1")


def test_the_generated_file_has_the_shape_of_the_one_that_is_read() -> None:
    client: Any = PriceList()
    made, read = json.loads(document(client, ["us-east-1"], "2026-11-25")), json.loads(FILE.read_text())
    assert made.keys() == read.keys()
    assert made["regions"]["us-east-1"].keys() == read["regions"]["us-east-1"].keys()


def test_the_price_list_is_asked_as_its_api_wants() -> None:
    client = boto3.client(
        "pricing", region_name="us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing"
    )
    with Stubber(client) as stub:
        for _ in range(len(INSTANCE_TYPES) + 6):
            stub.add_response("get_products", {"PriceList": []})
        assert prices(client, "us-east-1") == {"instances": {}}
        stub.assert_no_pending_responses()
