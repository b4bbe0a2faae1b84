"""The instance types that planning knows are those that EC2 describes."""

import gzip
import json
from pathlib import Path
from typing import Any

import moto
import pytest
from moto import mock_aws

from planning.aws.catalogue import FILE, HEAD_FAMILIES, INSTANCE_TYPES, instance_type, near, text
from tools.catalogue import described

RECORDED = Path(moto.__file__).parent / "ec2/resources/instance_types.json.gz"
"""An answer of DescribeInstanceTypes that moto recorded."""


@pytest.fixture(scope="module")
def recorded() -> dict[str, Any]:
    with gzip.open(RECORDED, "rt", encoding="utf-8") as file:
        found: dict[str, Any] = json.load(file)
        return found


@pytest.fixture
def account(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")


@mock_aws
def test_the_data_file_is_what_the_generator_writes_from_the_recorded_answer(account: None) -> None:
    assert FILE.read_text(encoding="utf-8") == text(described("us-east-1"))


def test_every_whole_nvidia_gpu_of_x86_is_in_the_catalogue(recorded: dict[str, Any]) -> None:
    wanted = {
        name
        for name, one in recorded.items()
        for gpu in one.get("GpuInfo", {}).get("Gpus", [])
        if gpu["Manufacturer"] == "NVIDIA" and gpu["Count"] and not one["BareMetal"]
        if one["ProcessorInfo"]["SupportedArchitectures"] == ["x86_64"]
    }
    assert {name for name, one in INSTANCE_TYPES.items() if one.gpus} == wanted


def test_every_efa_interface_that_a_type_may_have_has_its_card(recorded: dict[str, Any]) -> None:
    told = {
        name: recorded[name]["NetworkInfo"].get("EfaInfo", {}).get("MaximumEfaInterfaces", 0)
        for name in INSTANCE_TYPES
    }
    assert {name: len(one.efa_cards) for name, one in INSTANCE_TYPES.items()} == told


@pytest.mark.parametrize(
    ("name", "gpus", "gpu", "gib", "cards", "efa"),
    [
        ("p4d.24xlarge", 8, "A100", 40, 4, range(4)),
        ("p4de.24xlarge", 8, "A100", 80, 4, range(4)),
        ("p5.48xlarge", 8, "H100", 80, 32, range(32)),
        ("p5e.48xlarge", 8, "H200", 141, 32, range(32)),
        ("p5en.48xlarge", 8, "H200", 141, 16, range(16)),
        ("p6-b200.48xlarge", 8, "B200", 179, 8, range(8)),
        ("p6-b300.48xlarge", 8, "B300", 269, 17, range(1, 17)),
        ("g7e.48xlarge", 8, "RTX PRO Server 6000", 96, 4, range(4)),
        ("g6e.48xlarge", 8, "L40S", 45, 4, range(4)),
        ("g6e.24xlarge", 4, "L40S", 45, 2, range(2)),
        ("g6.48xlarge", 8, "L4", 22, 1, range(1)),
        ("g5.48xlarge", 8, "A10G", 22, 1, range(1)),
        ("g6e.4xlarge", 1, "L40S", 45, 1, range(0)),
        ("m7i.2xlarge", 0, "", 0, 1, range(0)),
    ],
)
def test_a_type_has_what_amazons_guide_says(  # noqa: PLR0917 - a column each
    name: str, gpus: int, gpu: str, gib: int, cards: int, efa: range
) -> None:
    one = INSTANCE_TYPES[name]
    assert (one.gpus, one.gpu, round(one.gpu_memory_mib / 1024)) == (gpus, gpu, gib)
    assert (one.network_cards, one.efa_cards) == (cards, tuple(efa))


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("g5g.xlarge", "its processor is ARM's"),
        ("g6f.large", "it has a part of a GPU"),
        ("g4dn.metal", "it is bare metal"),
        ("inf2.xlarge", "it has no GPU"),
        ("t3.large", "its family is none for a head"),
    ],
)
def test_a_type_that_no_node_can_be_of_is_left_out(recorded: dict[str, Any], name: str, why: str) -> None:
    assert instance_type(recorded[name]) is None, why
    assert name not in INSTANCE_TYPES


def test_types_without_gpus_are_those_of_the_families_for_heads() -> None:
    assert {one.family for one in INSTANCE_TYPES.values() if not one.gpus} == set(HEAD_FAMILIES)


@pytest.mark.parametrize(
    ("name", "gpus", "meant"),
    [
        ("p5.48xlrage", True, "p5.48xlarge"),
        ("p5.24xlarge", True, "p5.48xlarge"),
        ("p5n.48xlarge", True, "p5en.48xlarge"),
        ("p6.48xlarge", True, "p6-b200.48xlarge"),
        ("m7g.2xlarge", False, "m7i.2xlarge"),
    ],
)
def test_a_name_that_is_not_known_is_answered_with_those_near_it(name: str, gpus: bool, meant: str) -> None:
    assert meant in near(name, gpus=gpus)
