"""Legal stack files are not refused: files drawn from the forms that people write can all be planned."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as drawing
from hypothesis import strategies as st

from planning import plan, unmet_preconditions
from planning.sizing.cost import cost
from settings.loader import read_stack_file
from settings.problems import StackFileError
from tests.unit.settings.test_forms import FORMS

DRAWN = drawing(
    max_examples=50,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

ENV = [
    "NCCL_DEBUG",
    "UCX_IB_PKEY",
    "NCCL_IB_PKEY",
    "TOKENIZERS_PARALLELISM",
    "VLLM_LOGGING_LEVEL",
    "SSL_CERT_FILE",
    "AWS_REGION",
    "AWS_SHARED_CREDENTIALS_FILE",
    "OMP_NUM_THREADS",
    "PYTHONUNBUFFERED",
    "OTEL_SERVICE_NAME",
    "_X",
    "lower_case",
]
TAGS = [
    "team",
    "budget-token",
    "cost-key",
    "Owner",
    "a:b/c=d+e@f",
    "größe",
    "secret-santa",
    "key",
    "token",
    "pass",
    "KeyRotation",
]
VALUES = ("", "x", "search", "2026-11-27", "R+D", "team a", "1234567890", "ops@example.org", "v1.2.3")
HUB = (
    "gpt2",
    "meta-llama/Llama-3.1-8B-Instruct",
    "deepseek-ai/DeepSeek-R1-Distill-Qwen-32B",
    "Qwen/Qwen3-Coder-480B-A35B-Instruct-FP8",
    "mistralai/Mixtral-8x22B-Instruct-v0.1",
    "nvidia/Llama-3_1-Nemotron-Ultra-253B-v1",
    "openai/gpt-oss-120b",
)
JSON_FLAGS = (
    {"image_token": "<image>", "bos_token": "<s>", "pad_token_id": 0},
    {"classifier_from_token": ["yes", "no"], "key": "value"},
    {"rope_scaling": {"rope_type": "yarn", "factor": 4.0}},
)


def right(key: str) -> st.SearchStrategy[Any]:
    """Draw one of the right forms of a key (tests/unit/settings/test_forms.py)."""
    return st.sampled_from(FORMS[key].right)


def some(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Draw a mapping that has some of the keys."""
    return st.fixed_dictionaries({}, optional=keys)


ENVIRONMENTS = st.dictionaries(
    st.sampled_from(ENV), st.sampled_from([*VALUES, "a b", "$HOME", "100%"]), max_size=4
)
PORTS = st.integers(1, 65535)


@st.composite
def machines(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a target of two machines, each there once."""
    addresses = draw(st.lists(right("HostEntry.address"), min_size=2, max_size=2, unique=True))
    keys = some(
        user=right("HostEntry.user"),
        port=PORTS,
        bastion=right("HostEntry.bastion"),
        hostKey=right("HostEntry.hostKey"),
    )
    inventory = [
        {"name": f"node-{number}", "address": address} | draw(keys)
        for number, address in enumerate(addresses)
    ]
    if draw(st.booleans()):
        inventory[0]["host"] = draw(right("HostEntry.host"))
    ranges = st.lists(right("FirewallSettings.clients"), min_size=1, max_size=3)
    firewall = st.sampled_from(["none", "manage"]) | some(clients=ranges, openPorts=st.lists(PORTS)).map(
        lambda keys: {"mode": "manage", **keys}
    )
    others = some(
        user=right("HostsTarget.user"), port=PORTS, bastion=right("HostsTarget.bastion"), firewall=firewall
    )
    return {"kind": "hosts", "inventory": inventory, **draw(others)}


LOCAL = some(nodes=st.integers(2, 4), gpusPerNode=st.integers(1, 8)).map(
    lambda keys: {"kind": "local", **keys}
)
OWN_NETWORKS = some(
    cidr=st.sampled_from(
        ["10.42.0.0/16", "172.31.0.0/20", "192.168.8.0/24", "100.64.0.0/16", "100.127.0.0/18"]
    ),
    egress=st.just("nat"),
)
EXISTING_NETWORKS = st.fixed_dictionaries(
    {
        "vpcId": right("NetworkSettings.vpcId"),
        "subnetId": right("NetworkSettings.subnetId"),
        "cidr": right("NetworkSettings.cidr"),
        "firstAddress": st.integers(4, 10),
    }
)
AWS = some(
    zone=st.sampled_from(["us-east-1a", "us-east-1-bos-1a", "us-east-1-wl1-bos-wlz-1"]),
    network=OWN_NETWORKS | EXISTING_NETWORKS,
    clientRanges=st.lists(st.sampled_from(["203.0.113.0/24", "10.0.0.0/8", "100.64.0.0/10"]), max_size=3),
    keyPair=right("AwsTarget.keyPair"),
    instanceProfile=right("AwsTarget.instanceProfile"),
    placementGroup=right("AwsTarget.placementGroup"),
    kmsKeyId=right("AwsTarget.kmsKeyId"),
    ami=right("AmiSettings.id")
    | some(release=st.sampled_from(["1", "2026-11"]), user=right("AmiSettings.user")),
    tags=st.dictionaries(st.sampled_from(TAGS), st.sampled_from(VALUES)),
    purchase=st.sampled_from(["spot", "on-demand"]),
).map(lambda keys: {"kind": "aws", "instanceType": "p5.48xlarge", "adminRanges": ["203.0.113.7"], **keys})
MODELS = st.one_of(
    st.fixed_dictionaries(
        {"name": st.sampled_from(HUB)}, optional={"revision": right("ModelSettings.revision")}
    ),
    right("ModelSettings.path").map(lambda path: {"source": "path", "name": "a model", "path": path}),
    right("ModelSettings.uri").map(lambda uri: {"source": "s3", "name": "a model", "uri": uri}),
)
STORES = some(
    stores=st.fixed_dictionaries(
        {"source": st.just("release")},
        optional={
            "etcd": st.fixed_dictionaries(
                {"url": right("StoreDownload.url"), "sha256": right("StoreDownload.sha256")}
            )
        },
    )
)
RUNTIMES = st.one_of(
    st.fixed_dictionaries({"kind": st.just("venv")}, optional={"index": right("VenvRuntime.index")}),
    st.fixed_dictionaries({"kind": st.just("container"), "image": right("ContainerRuntime.image")}),
    st.fixed_dictionaries({"kind": st.just("preinstalled"), "path": right("PreinstalledRuntime.path")}),
)


@st.composite
def stack_files(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a whole stack file: two workers of a role each, on any target."""
    engine = draw(st.sampled_from(["mocker", "vllm"]))
    role: dict[str, Any] = {"replicas": 1, "env": draw(ENVIRONMENTS)}
    if engine == "vllm" and draw(st.booleans()):
        role["flags"] = {"hf-overrides": draw(st.sampled_from(JSON_FLAGS))}
    if engine == "mocker" and draw(st.booleans()):
        role["flags"] = {"kv-bytes-per-token": 1024}
    disagg = draw(st.booleans())
    roles = dict.fromkeys(("prefill", "decode") if disagg else ("aggregated",), role)
    target = draw(LOCAL | machines() | AWS)
    model = draw(MODELS)
    if target["kind"] == "aws":
        roles = {name: {**role, "parallelism": {"tensor": 8}} for name in roles}
        model = {"name": "someone/model"} if model.get("source") == "hub" else model
    config = {
        "dynamo:target": target,
        "dynamo:pattern": "disagg" if disagg else "agg",
        "dynamo:engine": engine,
        "dynamo:model": model,
        "dynamo:roles": roles,
        "dynamo:runtime": draw(RUNTIMES) | draw(STORES),
    }
    if target["kind"] == "aws":
        config["aws:region"] = "us-east-1"
    if draw(st.booleans()):
        config["dynamo:huggingFaceToken"] = {"secure": "v1:abc:def"}
    return {"config": config}


@DRAWN
@given(file=stack_files())
def test_what_is_legal_can_be_planned(file: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.legal.yaml"
    path.write_text(json.dumps(file, ensure_ascii=False), encoding="utf-8")
    try:
        made = plan(read_stack_file(path))
    except StackFileError as error:
        pytest.fail(str(error))
    gated = "is gated"
    assert [
        problem for problem in unmet_preconditions(made, cost(made)) if gated not in problem.message
    ] == []
