"""Real vLLM over hosts: prefill on one and decode on another, and one engine over both."""

from collections.abc import Callable, Iterator

import pytest

from tests.engine.deployment.checkout import complete, eventually
from tests.lab.stacks import LabStacks
from tools.hostlab.lab import Lab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

SECONDS = 900
FLAGS = {"dtype": "float32", "enforce-eager": True, "max-model-len": 2048}


@pytest.fixture(scope="module")
def stacks(lab: Callable[[int], Lab], tmp_path_factory: pytest.TempPathFactory) -> LabStacks:
    """Two hosts that find vLLM in place."""
    up = lab(2)
    up.up(len(up.hosts), "cpu")
    return LabStacks.make(tmp_path_factory.mktemp("checkout"), up)


@pytest.fixture(autouse=True)
def taken_down(stacks: LabStacks) -> Iterator[None]:
    """Leave the hosts free for the next test, whatever becomes of this one."""
    yield
    for stack in ("vllm-disagg", "vllm-large"):
        stacks.checkout.run("scripts/down", stack, check=False)


def test_kv_blocks_move_from_the_prefill_host_to_the_decode_host(stacks: LabStacks) -> None:
    roles = {"prefill": {"flags": FLAGS}, "decode": {"flags": FLAGS}}
    stacks.write("vllm-disagg", {"pattern": "disagg", "engine": "vllm", "roles": roles}, hosts=2)
    result = stacks.up("vllm-disagg", seconds=SECONDS)
    [transfer] = [line for line in result.splitlines() if " transfer " in line]
    print(transfer)
    assert transfer.split()[0] == "ok"


def test_an_engine_over_two_hosts_serves_and_comes_back_when_a_rank_dies(stacks: LabStacks) -> None:
    role = {"parallelism": {"tensor": 2}, "flags": FLAGS}
    stacks.write("vllm-large", {"pattern": "agg", "engine": "vllm", "roles": {"aggregated": role}}, hosts=2)
    stacks.up("vllm-large", seconds=SECONDS)
    outputs = stacks.checkout.outputs("vllm-large")
    assert complete(outputs, seconds=120)["usage"]["completion_tokens"] == 8
    before = {host: stacks.services("vllm-large", host) for host in ("lab-1", "lab-2")}
    headless = before["lab-2"]["aggregated-0-rank-1"]["pid"]
    stacks.lab.host("lab-2").exec(["kill", "-9", str(headless)], check=True)

    def anew() -> bool:
        rank_zero = stacks.services("vllm-large", "lab-1")["aggregated-0"]
        return bool(rank_zero["ready"]) and rank_zero["pid"] != before["lab-1"]["aggregated-0"]["pid"]

    eventually(anew, seconds=SECONDS, what="rank 0 started anew with the rank that died")
    eventually(
        lambda: complete(outputs, seconds=120)["usage"]["completion_tokens"] == 8,
        seconds=300,
        what="the engine answers again",
    )
