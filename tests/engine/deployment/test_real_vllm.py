"""Real vLLM on the CPU with the generated model, in every pattern."""

import os
import re
import signal

import psutil
import pytest

from tests.engine.deployment.checkout import Checkout, answers, eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1500)]

UP_SECONDS = 1200


def checks(outputs: dict[str, dict[str, list[dict[str, str]]]]) -> dict[str, str]:
    """Return what each check of the proof saw."""
    return {check["name"]: check["seen"] for check in outputs["proof"]["checks"]}


@pytest.mark.parametrize("stack", ["local-vllm", "local-vllm-disagg"])
def test_real_vllm_comes_up_proven_and_goes_down(checkout: Checkout, stack: str) -> None:
    checkout.run("scripts/up", stack, seconds=UP_SECONDS)
    outputs = checkout.outputs(stack)
    seen = checks(outputs)
    assert outputs["proof"]["ok"]
    assert "routing" in seen
    if stack == "local-vllm-disagg":
        assert re.search(r"[1-9][\d,]* KiB to decode-0", seen["transfer"])
    assert answers(outputs)
    checkout.unchanged(stack)
    checkout.run("scripts/down", stack)
    assert not checkout.processes()


def test_an_engine_over_two_nodes_serves_and_comes_back_whole_when_a_rank_dies(checkout: Checkout) -> None:
    stack = "local-vllm-large"
    checkout.run("scripts/up", stack, seconds=UP_SECONDS)
    outputs = checkout.outputs(stack)
    assert outputs["proof"]["ok"]
    (engine,) = outputs["topology"]["engines"]
    assert {rank["node"] for rank in engine["ranks"]} == {"node-1", "node-2"}
    headless = psutil.Process(checkout.pids(stack)["node-2/aggregated-0-rank-1"]).children()
    os.kill(headless[0].pid, signal.SIGKILL)
    eventually(lambda: not headless[0].is_running(), seconds=10, what="the rank is gone")
    checkout.run("scripts/prove", stack, seconds=UP_SECONDS)
    assert answers(outputs)
    checkout.run("scripts/down", stack)
    assert not checkout.processes()
