"""Real vLLM on the CPU with the generated model, in every pattern."""

import os
import re
import signal
from collections.abc import Iterator
from typing import Any

import psutil
import pytest

from tests.engine.deployment.checkout import Checkout, answers, eventually
from tests.load import Load, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

UP_SECONDS = 1200
ANSWER_SECONDS = 60
"""On 2 cores a KV transfer between engines that were idle took 14 s once."""


def checks(outputs: dict[str, dict[str, list[dict[str, str]]]]) -> dict[str, str]:
    """Return what each check of the proof saw."""
    return {check["name"]: check["seen"] for check in outputs["proof"]["checks"]}


@pytest.fixture(scope="module")
def stack(checkout: Checkout, request: pytest.FixtureRequest) -> Iterator[str]:
    """A stack that is up, for all tests that name it; it goes down and leaves no process."""
    name: str = request.param
    checkout.run("scripts/up", name, seconds=UP_SECONDS)
    yield name
    checkout.run("scripts/down", name)
    assert not checkout.processes()


@pytest.mark.parametrize("stack", ["local-vllm", "local-vllm-disagg"], indirect=True)
def test_real_vllm_comes_up_proven_and_goes_down(checkout: Checkout, stack: str) -> None:
    outputs = checkout.outputs(stack)
    seen = checks(outputs)
    assert outputs["proof"]["ok"]
    assert "routing" in seen
    if stack == "local-vllm-disagg":
        assert re.search(r"[1-9][\d,]* KiB to decode-0", seen["transfer"])
    assert answers(outputs, seconds=ANSWER_SECONDS)
    checkout.unchanged(stack)


@pytest.mark.parametrize("stack", ["local-vllm"], indirect=True)
def test_a_changed_flag_rolls_over_two_workers_and_no_request_fails(checkout: Checkout, stack: str) -> None:
    """2 requests a second, since on 2 cores the worker that starts leaves little to the one that serves."""
    outputs = checkout.outputs(stack)
    before = checkout.pids(stack)

    def fewer_at_once(config: dict[str, Any]) -> None:
        config["dynamo:roles"]["aggregated"]["flags"]["max-num-seqs"] = 32

    with Load(outputs["endpoint"], "tiny", per_second=2, tokens=4, stream_tokens=60) as load:
        wait_for(lambda: load.streaming, seconds=120, what="a stream was answered in full")
        checkout.edit(stack, fewer_at_once)
        checkout.run("scripts/up", stack, seconds=UP_SECONDS)
    print(load.report.row("real vLLM: a flag of 2 aggregated workers"))
    after = checkout.pids(stack)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"node-1/aggregated-0", "node-2/aggregated-1"}
    assert load.report.failures == []


@pytest.mark.parametrize("stack", ["local-vllm-large"], indirect=True)
def test_an_engine_over_two_nodes_serves_and_comes_back_whole_when_a_rank_dies(
    checkout: Checkout, stack: str
) -> None:
    outputs = checkout.outputs(stack)
    assert outputs["proof"]["ok"]
    (engine,) = outputs["topology"]["engines"]
    assert {rank["node"] for rank in engine["ranks"]} == {"node-1", "node-2"}
    headless = psutil.Process(checkout.pids(stack)["node-2/aggregated-0-rank-1"]).children()
    os.kill(headless[0].pid, signal.SIGKILL)
    eventually(lambda: not headless[0].is_running(), seconds=10, what="the rank is gone")
    checkout.run("scripts/prove", stack, seconds=UP_SECONDS)
    assert answers(outputs, seconds=ANSWER_SECONDS)
