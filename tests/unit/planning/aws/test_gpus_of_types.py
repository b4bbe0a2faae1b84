"""GPUs and network cards of every instance type in the catalogue decide what is planned on it."""

from types import SimpleNamespace
from typing import Any

import pytest

from account.queries import described
from planning import describe, plan
from planning.aws.catalogue import INSTANCE_TYPES, InstanceType, instance_type
from planning.aws.gpus import BFLOAT16_FROM, COMPUTE_CAPABILITY, DRIVER_FROM, VALUES_FROM, has_rdma
from tests.unit.plan_examples import AWS, real, refusals, services
from tools.catalogue import unknown_gpus

GPU_TYPES = [one for one in INSTANCE_TYPES.values() if one.gpus]
SERVING = [one for one in GPU_TYPES if (one.compute_capability or (0, 0)) >= DRIVER_FROM]
MODEL = {"source": "path", "name": "small", "path": "/models/small"}
RDMA_FAMILIES = {"p4d", "p4de", "p5", "p5e", "p5en", "p6-b200", "p6-b300"}


def ids(one: object) -> str:
    return one.name if isinstance(one, InstanceType) else str(one)


def stack(one: InstanceType, pattern: str = "disagg", *, efa: bool | None = None, flags: Any = None) -> Any:
    role = {"parallelism": {"tensor": one.gpus}, "flags": flags or {}}
    roles = {"aggregated": role} if pattern == "agg" else {"prefill": role, "decode": role}
    target = AWS | {"instanceType": one.name} | ({} if efa is None else {"efa": efa})
    return real(pattern, roles, target=target, model=MODEL)


@pytest.mark.parametrize("one", GPU_TYPES, ids=ids)
def test_every_type_says_what_its_gpus_and_cards_can(one: InstanceType) -> None:
    assert one.compute_capability == COMPUTE_CAPABILITY[one.gpu]
    assert one.gpudirect_rdma is (one.family in RDMA_FAMILIES)


@pytest.mark.parametrize("one", [one for one in SERVING if one.efa_cards], ids=ids)
def test_kv_blocks_move_over_efa_only_where_it_reads_the_gpus_memory(one: InstanceType) -> None:
    settings, rdma = stack(one), one.family in RDMA_FAMILIES
    told = describe(plan(settings))
    for service in services(settings).values():
        config = service.flags.get("kv-transfer-config")
        if isinstance(config, dict):
            assert ("LIBFABRIC" in str(config)) is rdma
            assert ("FI_EFA_USE_DEVICE_RDMA" in service.env) is rdma
    assert (f"{one.name} has no GPUDirect RDMA" in told) is not rdma
    assert any(flow.why.startswith("KV blocks") for flow in plan(settings).flows) is not rdma


@pytest.mark.parametrize("one", [one for one in SERVING if one.efa_cards], ids=ids)
def test_efa_that_would_move_no_kv_block_is_not_to_be_asked_for(one: InstanceType) -> None:
    rdma = one.family in RDMA_FAMILIES
    assert refusals(stack(one, "agg", efa=True)) == {}
    told = refusals(stack(one, efa=True))
    assert told.keys() == (set() if rdma else {"target.efa"})
    assert all("without GPUDirect RDMA" in text and "remove it" in text for text in told.values())


@pytest.mark.parametrize("one", SERVING, ids=ids)
def test_bfloat16_is_refused_on_gpus_that_have_none(one: InstanceType) -> None:
    told = refusals(stack(one, "agg", flags={"dtype": "bfloat16"}))
    able = one.compute_capability is not None and one.compute_capability >= BFLOAT16_FROM
    assert told.keys() == (set() if able else {"roles.aggregated.flags.dtype"})
    assert refusals(stack(one, "agg", flags={"dtype": "float16"})) == {}
    assert ("computes such models in float16" in describe(plan(stack(one, "agg")))) is not able


@pytest.mark.parametrize(
    ("flag", "value"), [(flag, value) for flag, values in VALUES_FROM.items() for value in values]
)
@pytest.mark.parametrize("name", ["g4dn.12xlarge", "p4d.24xlarge", "p6-b200.48xlarge"])
def test_what_the_gpus_lack_is_refused_by_its_flag(name: str, flag: str, value: str) -> None:
    one = INSTANCE_TYPES[name]
    assert one.compute_capability is not None
    lacks = one.compute_capability < VALUES_FROM[flag][value]
    told = refusals(stack(one, "agg", flags={flag: value}))
    assert told.keys() == ({f"roles.aggregated.flags.{flag}"} if lacks else set())
    assert all("or a newer type" in text for text in told.values())


def test_types_whose_driver_and_cuda_are_gone_are_refused_with_the_reason() -> None:
    gone = [one for one in GPU_TYPES if one not in SERVING]
    assert [one.name for one in gone] == ["p3dn.24xlarge"]
    told = refusals(stack(gone[0], efa=True))
    assert told.keys() == {"target.instanceType"}
    assert "V100 has compute capability 7.0" in told["target.instanceType"]
    assert "CUDA 13 need 7.5; take a newer type" in told["target.instanceType"]


def test_a_gpu_that_nobody_knows_stops_the_generator_and_no_question_to_the_account() -> None:
    new = {
        "InstanceType": "p9.48xlarge",
        "BareMetal": False,
        "ProcessorInfo": {"SupportedArchitectures": ["x86_64"]},
        "GpuInfo": {
            "Gpus": [{"Name": "R9", "Manufacturer": "NVIDIA", "Count": 8, "MemoryInfo": {"SizeInMiB": 1}}]
        },
        "NetworkInfo": {"MaximumNetworkCards": 1, "NetworkCards": [], "EfaSupported": False},
        "VCpuInfo": {"DefaultVCpus": 1},
        "MemoryInfo": {"SizeInMiB": 1},
        "SupportedUsageClasses": [],
    }
    one = instance_type(new)
    assert one is not None
    assert unknown_gpus([one, *GPU_TYPES]) == ["R9"]
    pages = SimpleNamespace(paginate=lambda **_: [{"InstanceTypes": [new]}])
    client: Any = SimpleNamespace(get_paginator=lambda _: pages)
    assert described(client, ["p9.48xlarge"]) == {"p9.48xlarge": one}
    assert not has_rdma("p9")
