"""Impossible and dangerous stack files for AWS: each is refused before anything costs, with the remedy."""

from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from planning import describe, plan, unmet_preconditions
from planning.sizing.cost import cost
from settings.loader import read_stack_file
from settings.problems import StackFileError
from tests.unit.plan_examples import ENCRYPTED_TOKEN, LLAMA

AWS = {
    "kind": "aws",
    "instanceType": "p5.48xlarge",
    "adminRanges": ["198.51.100.7/32"],
    "clientRanges": ["203.0.113.0/24"],
}
EXISTING = {"vpcId": "vpc-0123456789abcdef0", "subnetId": "subnet-0123456789abcdef0", "cidr": "10.1.0.0/24"}
RESERVATION = "cr-0123456789abcdef0"
OWN_IMAGE = "ami-0123456789abcdef0"
GOLDEN = {
    "kind": "preinstalled",
    "path": "/opt/dynamo",
    "wheels": "/srv/wheels",
    "stores": {"source": "distribution"},
}
"""A runtime whose parts all lie on a machine image."""

WORLD = "0.0.0.0/0"


class Refused(NamedTuple):
    """A stack file, the key that its one problem names, and what is said of it."""

    file: dict[str, Any]
    key: str
    phrases: tuple[str, ...]


def stack(**keys: Any) -> dict[str, Any]:
    """Return a stack file that is right but for the keys given; None removes one."""
    config = {
        "aws:region": "us-east-1",
        "dynamo:target": AWS,
        "dynamo:pattern": "agg",
        "dynamo:model": {"name": LLAMA},
        "dynamo:roles": {"aggregated": {"replicas": 2, "parallelism": {"tensor": 8}}},
        "dynamo:huggingFaceToken": ENCRYPTED_TOKEN,
    }
    config |= {key if ":" in key else f"dynamo:{key}": value for key, value in keys.items()}
    return {"config": {key: value for key, value in config.items() if value is not None}}


def aws(**keys: Any) -> dict[str, Any]:
    """Return a stack file whose target differs; None removes a key."""
    target = AWS | keys
    return stack(target={key: value for key, value in target.items() if value is not None})


def network(**keys: Any) -> dict[str, Any]:
    return aws(network=keys)


def purchase(option: str, **keys: Any) -> dict[str, Any]:
    return aws(purchase={"option": option, **keys})


def reserved(option: str, **keys: Any) -> dict[str, Any]:
    return aws(purchase={"option": option, "reservationId": RESERVATION}, **keys)


def role(**keys: Any) -> dict[str, Any]:
    return stack(roles={"aggregated": {"replicas": 2, "parallelism": {"tensor": 8}, **keys}})


def on_s3(program: str) -> dict[str, str]:
    url = f"https://releases.s3.us-east-1.amazonaws.com/{program}.tar.gz"
    return {"url": url, "sha256": "ab" * 32}


def refused(file: dict[str, Any], key: str, *phrases: str) -> Refused:
    return Refused(file, key, phrases)


CASES = {
    # instance types and what they have
    "type that nobody knows": refused(
        aws(instanceType="p5.24xlarge"), "target.instanceType", "p5.24xlarge", "not known", "p5.48xlarge"
    ),
    "type that is no type": refused(
        aws(instanceType="H100"), "target.instanceType", '"H100"', "such as p5.48xlarge"
    ),
    "type without GPUs": refused(
        aws(instanceType="m7i.2xlarge"), "target.instanceType", "has no GPU", "did you mean"
    ),
    "type of another architecture": refused(
        aws(instanceType="g5g.16xlarge"), "target.instanceType", "not known", "did you mean g5"
    ),
    "EFA where there is none": refused(
        stack(
            target=AWS | {"instanceType": "g5.xlarge", "efa": True},
            model={"name": "someone/model"},
            roles={"aggregated": {}},
        ),
        "target.efa",
        "g5.xlarge has no EFA",
        "remove it",
    ),
    "dedicated head of a GPU type": refused(
        stack(target=AWS | {"headInstanceType": "g5.xlarge"}, head="dedicated"),
        "target.headInstanceType",
        "g5.xlarge",
        "has GPUs",
        "without GPUs",
    ),
    "dedicated head of an ARM type": refused(
        stack(target=AWS | {"headInstanceType": "m7g.2xlarge"}, head="dedicated"),
        "target.headInstanceType",
        "not known",
        "m7i.2xlarge",
    ),
    "type of a head that there is not": refused(
        aws(headInstanceType="m7i.4xlarge"), "target.headInstanceType", "write `head: dedicated` or remove"
    ),
    # how capacity is bought
    "option that there is not": refused(purchase("ondemand"), "target.purchase.option", "on-demand or spot"),
    "capacity block without its id": refused(
        purchase("capacity-block"), "target.purchase.reservationId", "missing", "reservationId: cr-"
    ),
    "reservation without its id": refused(
        purchase("reservation"), "target.purchase.reservationId", "missing", "reservationId: cr-"
    ),
    "spot with a reservation": refused(
        reserved("spot"), "target.purchase.reservationId", "does not go with `option: spot`", "remove it"
    ),
    "on demand with a reservation": refused(
        reserved("on-demand"), "target.purchase.reservationId", "write `option: reservation` or remove it"
    ),
    "id of another thing": refused(
        purchase("reservation", reservationId="i-0123456789abcdef0"),
        "target.purchase.reservationId",
        "such as cr-",
    ),
    "capacity block in a placement group": refused(
        reserved("capacity-block", zone="us-east-1b", placementGroup="mine"),
        "target.placementGroup",
        "EC2 places by itself",
        "remove it",
    ),
    "capacity block without its zone": refused(
        reserved("capacity-block"), "target.zone", "missing", RESERVATION, "write that zone"
    ),
    "reservation without its zone": refused(reserved("reservation"), "target.zone", "missing", RESERVATION),
    "capacity block of a type that has none": refused(
        stack(
            target=AWS
            | {
                "instanceType": "g6e.48xlarge",
                "zone": "us-east-1b",
                "purchase": {"option": "capacity-block", "reservationId": RESERVATION},
            }
        ),
        "target.purchase.option",
        "g6e.48xlarge is not sold so",
        "on-demand or spot or reservation",
    ),
    # region, zone and network
    "no region": refused(
        stack(**{"aws:region": None}), "target.region", "missing", "`aws:region: us-east-1`"
    ),
    "region that is none": refused(
        aws(region="virginia"), "target.region", '"virginia"', "such as us-east-1"
    ),
    "two regions": refused(
        aws(region="us-west-2"), "target.region", "`aws:region` says", '"us-east-1"', "write one of them"
    ),
    "region that nobody knows, from the provider's key": refused(
        stack(**{"aws:region": "us-east-9"}), "aws:region", '"us-east-9"', "did you mean us-east-"
    ),
    "Local Zone of another region": refused(
        aws(zone="us-west-2-lax-1a"), "target.zone", "a zone of us-east-1"
    ),
    "zone of another region": refused(
        aws(zone="us-west-2a"), "target.zone", '"us-west-2a"', "a zone of us-east-1", "us-east-1a"
    ),
    "zone that is a region": refused(aws(zone="us-east-1"), "target.zone", "such as us-east-1a"),
    "public range for the network": refused(
        network(cidr="8.8.0.0/16"), "target.network.cidr", "8.8.0.0/16", "a private range", "10.0.0.0/8"
    ),
    **{
        f"{cidr} for the network": refused(network(cidr=cidr), "target.network.cidr", "a private range")
        for cidr in ("198.18.0.0/16", "192.0.2.0/24", "169.254.0.0/16", "127.0.0.0/16", "240.0.0.0/16")
    },
    "existing subnet without its range": refused(
        network(vpcId=EXISTING["vpcId"], subnetId=EXISTING["subnetId"]),
        "target.network.cidr",
        "missing",
        "add the range of the subnet",
    ),
    "network that EC2 finds too large": refused(
        network(cidr="10.0.0.0/8"), "target.network.cidr", "/16 to /25"
    ),
    "network that is too small": refused(network(cidr="10.0.0.0/27"), "target.network.cidr", "/16 to /25"),
    "network with host bits": refused(
        network(cidr="10.0.0.1/16"), "target.network.cidr", "such as 10.42.0.0/16"
    ),
    "more nodes than addresses": refused(
        stack(
            target=AWS | {"network": {"cidr": "10.0.0.0/25"}},
            roles={"aggregated": {"replicas": 60, "parallelism": {"tensor": 8}}},
        ),
        "target.network.cidr",
        "holds 52 nodes",
        "the plan has 60",
        "a wider range",
    ),
    "first address beyond the range": refused(
        network(cidr="10.0.0.0/24", firstAddress=200), "target.network.cidr", "holds 0 nodes", "firstAddress"
    ),
    "subnet without its VPC": refused(
        network(subnetId=EXISTING["subnetId"]), "target.network.subnetId", "add `vpcId: vpc-"
    ),
    "VPC without a subnet": refused(
        network(vpcId=EXISTING["vpcId"]), "target.network.subnetId", "missing", "add `subnetId: subnet-"
    ),
    "endpoints in an existing subnet": refused(
        network(**EXISTING, egress="endpoints"),
        "target.network.egress",
        "has its own routes out",
        "remove it",
    ),
    "existing subnet too small": refused(
        network(**EXISTING | {"cidr": "10.1.0.0/25"}, firstAddress=126),
        "target.network.cidr",
        "holds 1 node from",
        "the plan has 2",
    ),
    # who may come in
    "SSH open to everybody": refused(
        aws(adminRanges=[WORLD]), "target.openToTheWorld", "adminRanges has 0.0.0.0/0", "name ranges"
    ),
    "endpoint open to everybody": refused(
        aws(clientRanges=[WORLD]), "target.openToTheWorld", "clientRanges has 0.0.0.0/0", "write true"
    ),
    "everybody by the way of the workers": refused(
        aws(clientRanges=[WORLD], openToTheWorld=True),
        "target.clientRanges",
        "0.0.0.0/0 is too wide",
        "write `head: dedicated`",
    ),
    "half of everybody": refused(
        aws(clientRanges=["128.0.0.0/1"]), "target.clientRanges", "128.0.0.0/1 is too wide", "/8 and narrower"
    ),
    **{
        f"everybody in {len(ranges)} parts": refused(
            stack(target=AWS | {"clientRanges": ranges, "openToTheWorld": True}, head="dedicated"),
            "target.clientRanges",
            "is too wide",
            "`openToTheWorld: true`",
        )
        for ranges in (
            ["0.0.0.0/1", "128.0.0.0/1"],
            ["0.0.0.0/2", "64.0.0.0/2", "128.0.0.0/2", "192.0.0.0/3"],
            [f"{first}.0.0.0/7" for first in range(2, 26, 2)],
        )
    },
    "range that is no range": refused(
        aws(adminRanges=["office"]), "target.adminRanges.0", '"office"', "203.0.113.7"
    ),
    "range with host bits": refused(
        aws(clientRanges=["203.0.113.7/24"]), "target.clientRanges.0", "203.0.113.0/24"
    ),
    "IPv6 range": refused(aws(clientRanges=["2001:db8::/32"]), "target.clientRanges.0", "no IPv6"),
    "no way in": refused(
        aws(adminRanges=None), "target.adminRanges", "missing", "SSH to the head", "`access: ssm`"
    ),
    "head without a public address": refused(
        network(publicHead=False), "target.network.publicHead", "no way to the head", "`access: ssm`"
    ),
    "more ranges than rules": refused(
        aws(clientRanges=[f"203.0.113.{number}/32" for number in range(60)]),
        "target.clientRanges",
        "61 rules",
        "at most 60",
        "wider ranges",
    ),
    # no internet
    "model of the hub without internet": refused(
        stack(
            target=AWS | {"network": {"egress": "endpoints"}},
            runtime=GOLDEN | {"stores": {"source": "bundled"}},
        ),
        "model.source",
        "no way to the hub",
        "`egress: nat`",
    ),
    "packages without internet": refused(
        stack(
            target=AWS | {"network": {"egress": "endpoints"}},
            model={"name": "llama", "source": "path", "path": "/models/llama"},
            runtime={"kind": "venv", "stores": {"source": "bundled"}},
        ),
        "runtime.kind",
        "no way to a package index",
        "write `wheels`",
        "`egress: nat`",
    ),
    # disks, lives, tags
    "volume too small": refused(aws(volume={"sizeGib": 8}), "target.volume.sizeGib", "8", "from 50 to 16384"),
    "more operations than the volume has": refused(
        aws(volume={"sizeGib": 50, "iops": 30000}), "target.volume.iops", "at most 25000 of 50 GiB"
    ),
    "more throughput than its operations carry": refused(
        aws(volume={"iops": 3000, "throughput": 1000}),
        "target.volume.throughput",
        "at most 750",
        "raise `iops`",
    ),
    "spot that stops": refused(
        aws(purchase="spot", lifetime={"maxMinutes": 60, "action": "stop"}),
        "target.lifetime",
        "EC2 cannot stop it",
        "`action: terminate`",
    ),
    "capacity block that stops": refused(
        reserved("capacity-block", zone="us-east-1b", lifetime={"idleMinutes": 60, "action": "stop"}),
        "target.lifetime",
        "`option: capacity-block`",
        "`action: terminate`",
    ),
    "warning after the end": refused(
        aws(lifetime={"idleMinutes": 10}), "target.lifetime.warnMinutes", "less than `idleMinutes: 10`"
    ),
    "life of a minute": refused(aws(lifetime={"maxMinutes": 1}), "target.lifetime.maxMinutes", "from 5 to"),
    "tag of AWS": refused(aws(tags={"aws:owner": "me"}), "target.tags.aws:owner", "set by AWS"),
    "tag of this program": refused(
        aws(tags={"dynamo-multinode:state": "mine"}), "target.tags.dynamo-multinode:state", "by this program"
    ),
    "more tags than EC2 takes": refused(
        aws(tags={f"tag-{number}": "x" for number in range(47)}), "target.tags", "47 tags", "at most 46"
    ),
    "image that is none": refused(aws(ami="ubuntu"), "target.ami", '"ubuntu"', "such as ami-"),
    # the model
    "gated model without a token": refused(
        stack(huggingFaceToken=None),
        "huggingFaceToken",
        "missing",
        f"{LLAMA} is gated",
        "`scripts/secret",
    ),
    "model that does not fit": refused(
        stack(roles={"aggregated": {}}),
        "roles.aggregated.parallelism.tensor",
        "weights of 141.1 GB over 1 GPU = 141.1 GB",
        "79.0 GB",
        "use 4 or 8 or 16",
    ),
    "context that does not fit": refused(
        aws(instanceType="g5.48xlarge"),
        "roles.aggregated.parallelism.tensor",
        "131,072 tokens x 40 KiB of KV cache = 5.4 GB",
        "set `max-model-len` to at most ",
    ),
    "concurrency that does not fit": refused(
        role(flags={"max-num-seqs": 256}),
        "roles.aggregated.parallelism.tensor",
        "256 sequences",
        "set `max-num-seqs` to at most 11",
    ),
    "context beyond the model's": refused(
        role(flags={"max-model-len": 200000}),
        "roles.aggregated.flags.max-model-len",
        "200000",
        "at most 131,072",
    ),
    "more GPUs than heads divide": refused(
        role(parallelism={"tensor": 24}),
        "roles.aggregated.parallelism.tensor",
        "64 attention heads",
        "use 1, 2",
    ),
    "model whose shape says that it is too large": refused(
        stack(
            model={
                "name": "someone/model",
                "shape": {
                    "weightsGb": 2000,
                    "layers": 80,
                    "attentionHeads": 8,
                    "kvHeads": 8,
                    "headSize": 128,
                    "context": 8192,
                },
            }
        ),
        "roles.aggregated.parallelism.tensor",
        "weights of 2000.0 GB over 8 GPUs = 250.0 GB",
        "use GPUs with more memory",
    ),
    # cost
    "more than it may cost": refused(
        stack(cost={"maxHourly": 100}),
        "cost.maxHourly",
        "100",
        "110.26 USD an hour",
        "2 x p5.48xlarge = 110.08",
    ),
    "limit of nothing": refused(stack(cost={"maxHourly": 0}), "cost.maxHourly", "0", "a number above 0"),
}


def problems(file: dict[str, Any], folder: Path) -> StackFileError:
    """Return what `scripts/plan` and every preview say of a stack file."""
    path = folder / "Pulumi.wrong.yaml"
    path.write_text(yaml.safe_dump(file), encoding="utf-8")
    try:
        made = plan(read_stack_file(path))
    except StackFileError as error:
        return error
    return StackFileError(unmet_preconditions(made, cost(made)))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_what_cannot_or_should_not_be_on_aws_is_refused_with_its_remedy(
    case: Refused, tmp_path: Path
) -> None:
    error = problems(case.file, tmp_path)
    line, *rest = str(error).splitlines()
    assert [problem.key for problem in error.problems] == [case.key]
    assert [phrase for phrase in case.phrases if phrase not in line] == []
    assert rest == ["1 problem, nothing was created"]


RIGHT = {
    "a tag about tokens": aws(tags={"budget-token": "team-a", "cost-key": "4711"}),
    "network of the carriers' range": network(cidr="100.64.0.0/16"),
    "existing subnet of the carriers' range": network(**EXISTING | {"cidr": "100.64.8.0/22"}),
    "existing subnet of a public range": network(**EXISTING | {"cidr": "11.8.0.0/24"}),
    "existing small subnet": network(**EXISTING | {"cidr": "10.1.0.0/28"}, firstAddress=5),
    "Local Zone": stack(target=AWS | {"zone": "us-west-2-lax-1a"}, **{"aws:region": "us-west-2"}),
    "one region twice": aws(region="us-east-1"),
    "key of the region": aws(
        kmsKeyId="arn:aws:kms:us-east-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
    ),
    "as it is": stack(),
    "everybody, through a head of its own": stack(
        target=AWS | {"clientRanges": [WORLD], "openToTheWorld": True}, head="dedicated"
    ),
    "Session Manager alone": aws(
        access="ssm", adminRanges=None, clientRanges=None, network={"publicHead": False}
    ),
    "an existing network": network(**EXISTING),
    "a capacity block": reserved("capacity-block", zone="us-east-1b"),
    "a reservation in its group": reserved("reservation", zone="us-east-1b", placementGroup="its"),
    "a reservation in an existing subnet": reserved("reservation", network=EXISTING),
    "spot for an hour": aws(purchase="spot", lifetime={"maxMinutes": 60}),
    "on demand that stops": aws(lifetime={"idleMinutes": 30, "action": "stop"}),
    "golden images": stack(
        target=AWS | {"network": {"egress": "endpoints"}, "access": "ssm", "ami": OWN_IMAGE},
        model={"name": "llama", "source": "path", "path": "/models/llama"},
        runtime=GOLDEN,
    ),
    "all of it on S3": stack(
        target=AWS | {"network": {"egress": "endpoints"}, "access": "ssm"},
        model={"name": "llama", "source": "s3", "uri": "s3://models/llama"},
        runtime={
            "kind": "venv",
            "index": "https://packages.s3.us-east-1.amazonaws.com/simple",
            "stores": {"etcd": on_s3("etcd"), "nats": on_s3("nats")},
        },
    ),
    "containers of an image that is there": stack(
        target=AWS | {"network": {"egress": "endpoints"}, "access": "ssm", "ami": OWN_IMAGE},
        model={"name": "llama", "source": "s3", "uri": "s3://models/llama"},
        runtime={"kind": "container", "wheels": "/srv/wheels", "stores": {"source": "bundled"}},
    ),
    "a head of its own": stack(target=AWS | {"headInstanceType": "c7i.4xlarge"}, head="dedicated"),
    "no EFA, on purpose": aws(efa=False),
    "a model that is not known": stack(model={"name": "someone/model"}, huggingFaceToken=None),
}


@pytest.mark.parametrize("file", RIGHT.values(), ids=RIGHT.keys())
def test_what_can_be_is_not_refused(file: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.right.yaml"
    path.write_text(yaml.safe_dump(file), encoding="utf-8")
    made = plan(read_stack_file(path))
    assert unmet_preconditions(made, cost(made)) == []
    assert "nothing else" in describe(made)
