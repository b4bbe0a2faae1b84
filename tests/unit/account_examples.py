"""Plans on AWS and what an account says of them, for tests of the account look-ups."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import boto3

from account.checks import judge
from account.fleet import Fleet
from account.requirements import Requirements, requirements_of
from account.responses import Addresses, Answer, Answers, Bought, Instance, Quota, Reservation
from planning import plan
from planning.aws.catalogue import INSTANCE_TYPES
from planning.aws.state import PROJECT_TAG, STACK_TAG, STATE_TAG
from planning.values import Plan
from settings.problems import Problem
from tests.unit.plan_examples import real

NOW = datetime(2026, 11, 25, 10, 0, tzinfo=UTC)
FLEET = Fleet("dynamo", "disagg", "0011223344556677")
P5 = "p5.48xlarge"
REGION = "us-east-1"
IMAGE = "ami-12c6146b"
"""One that moto has from the start."""

RESERVATION = "cr-0123456789abcdef0"
URN = "urn:pulumi:disagg::dynamo::dynamo:aws:Fleet$dynamo:aws:Machine$aws:ec2/instance:Instance::"
NO_CAPACITY = (
    "creating EC2 Instance: operation error EC2: RunInstances, https response error StatusCode: 500, "
    "api error InsufficientInstanceCapacity: We currently do not have sufficient p5.48xlarge capacity"
)
CODES = {
    "L-417A185B": "Running On-Demand P instances",
    "L-7212CCBC": "All P4, P3 and P2 Spot Instance Requests",
    "L-C4BD4855": "All P5 Spot Instance Requests",
    "L-DB2E81BA": "Running On-Demand G and VT instances",
    "L-1216C47A": "Running On-Demand Standard (A, C, D, H, I, M, R, T, Z) instances",
    "L-0263D0A3": "EC2-VPC Elastic IPs",
}


def aws_plan(*, head: str = "colocated", **target: Any) -> Plan:
    """Return a plan of two p5.48xlarge in us-east-1a, and a dedicated head where one is asked for."""
    keys = {
        "kind": "aws",
        "region": "us-east-1",
        "zone": "us-east-1a",
        "instanceType": P5,
        "adminRanges": ["203.0.113.7/32"],
        **target,
    }
    roles = {"prefill": {"parallelism": {"tensor": 8}}, "decode": {"parallelism": {"tensor": 8}}}
    return plan(real("disagg", roles, target=keys, head=head, huggingFaceToken="hf_x"))


def want(**keys: Any) -> Requirements:
    return requirements_of(aws_plan(**keys))


def live_answer(value: Any) -> Answer[Any]:
    return Answer(value, "live", NOW)


def quota(code: str, limit: int) -> dict[str, Quota]:
    return {code: Quota(code, CODES[code], limit)}


def instance(
    number: int, *, fleet: Fleet | None = None, bought: Bought = "on-demand", **fields: Any
) -> Instance:
    """Return a running p5.48xlarge, of nobody's stack unless `fleet` says whose."""
    tags = {}
    if fleet:
        tags = {PROJECT_TAG: fleet.project, STACK_TAG: fleet.stack, STATE_TAG: fleet.state or ""}
    running = Instance(
        id=f"i-{number:017x}",
        name=f"node-{number}",
        type=P5,
        zone="us-east-1a",
        state="running",
        bought=bought,
        vcpus=192,
        reservation=None,
        tags=tags,
    )
    return replace(running, **fields)


def reservation(**fields: Any) -> Reservation:
    """Return a reservation that holds what `aws_plan` wants."""
    active = Reservation(
        id=RESERVATION,
        option="reservation",
        type=P5,
        zone="us-east-1a",
        state="active",
        total=2,
        free=2,
        starts=datetime(2026, 11, 1, tzinfo=UTC),
        ends=None,
        placement_group=None,
    )
    return replace(active, **fields)


def good() -> Answers:
    """Return answers that refuse nothing of `aws_plan`, on-demand."""
    return Answers(
        caller=live_answer("123456789012"),
        region_enabled=live_answer(value=True),
        offerings=live_answer(
            {P5: ("us-east-1a", "us-east-1b"), "m7i.2xlarge": ("us-east-1a", "us-east-1b", "us-east-1c")}
        ),
        types=live_answer({P5: INSTANCE_TYPES[P5]}),
        instances=live_answer(()),
        quotas=live_answer(quota("L-417A185B", 384) | quota("L-1216C47A", 8) | quota("L-0263D0A3", 5)),
        reservation=None,
        subnet=None,
        addresses=live_answer(Addresses(own=0, foreign=0)),
        image=live_answer("ami-0123456789abcdef0"),
        prices=None,
    )


def answers(**fields: Any) -> Answers:
    """Return good answers but for some."""
    return replace(good(), **{name: live_answer(value) for name, value in fields.items()})


def judged(requirements: Requirements, answers: Answers, fleet: Fleet = FLEET) -> list[Problem]:
    return list(judge(requirements, fleet, answers, NOW))


def messages(requirements: Requirements, answers: Answers) -> Iterator[str]:
    """Yield every refusal as a user sees it."""
    return (f"{problem.subject} {problem.message}" for problem in judged(requirements, answers))


def client(service: Any) -> Any:
    return boto3.client(service, region_name=REGION)


def launch(count: int = 1, instance_type: str = P5, **tags: str) -> list[str]:
    """Launch instances in the account, with tags."""
    ec2 = client("ec2")
    specification = {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}
    launched = ec2.run_instances(
        ImageId=IMAGE,
        MinCount=count,
        MaxCount=count,
        InstanceType=instance_type,
        TagSpecifications=[{"ResourceType": "instance", **specification}] if tags else [],
    )
    return [instance["InstanceId"] for instance in launched["Instances"]]


def tags_of(fleet: Fleet) -> dict[str, str]:
    return {PROJECT_TAG: fleet.project, STACK_TAG: fleet.stack, STATE_TAG: fleet.state or ""}


def event(message: str, urn: str = f"{URN}node-1", severity: str = "error") -> str:
    return json.dumps(
        {"sequence": 1, "diagnosticEvent": {"urn": urn, "message": message, "severity": severity}}
    )
