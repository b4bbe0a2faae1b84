"""The proof against real deployments: what it sees in a sound one, and whom it names in a broken one."""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from nodectl.contract import codec
from nodectl.contract.proof import ProofResult, ProofSpec
from nodectl.proof.proving import Proof, prove
from nodectl.proof.report import explain
from tests.engine.proof.deployment import Deployment
from tests.waiting import eventually

PROJECT = Path(__file__).parents[3]
SHORT = 5
"""Seconds in which a broken deployment is given up."""


def proved(spec: ProofSpec, progress: Callable[[str], None] = print) -> Proof:
    return asyncio.run(prove(spec, progress))


def seen(proof: Proof) -> dict[str, str]:
    """Return what each check saw; every one of them must hold."""
    assert proof.result.ok, proof.result.checks[-1]
    return {check.name: check.seen for check in proof.result.checks}


def failure(spec: ProofSpec) -> tuple[str, str, str]:
    """Return the check that failed, what it saw and the report on it; it must be given up in time."""
    proof = proved(spec)
    failed = proof.result.checks[-1]
    assert not proof.result.ok
    assert proof.result.seconds < spec.seconds + 1
    return failed.name, failed.seen, explain(spec, proof.result, proof.blame)


def test_a_sound_aggregated_deployment_is_proved_by_nine_checks(agg: Deployment) -> None:
    lines = seen(proved(agg.spec()))
    assert list(lines) == [
        "nats",
        "etcd",
        "frontend",
        "registry",
        "workers",
        "model",
        "pinned",
        "completion",
        "routing",
    ]
    assert lines["registry"] == "2 of 2 aggregated workers"
    assert lines["pinned"] == "2 of 2 workers answered a request meant for them alone"
    assert lines["completion"].startswith("8 tokens, first after ")
    assert lines["routing"].endswith("tokens from cache, same worker")


def test_a_sound_disaggregated_deployment_shows_prefill_and_decode_apart(disagg: Deployment) -> None:
    lines = seen(proved(disagg.spec()))
    assert lines["registry"] == "1 of 1 prefill, 2 of 2 decode workers"
    assert lines["disagg"] in {f"prefill by prefill-0, decode by decode-{n}" for n in range(2)}
    assert lines["routing"].endswith("of it from cache, same prefill worker")


def test_a_second_proof_meets_cold_prompts_again(agg: Deployment) -> None:
    first, second = (seen(proved(agg.spec()))["routing"] for _ in range(2))
    assert first.split()[4] == second.split()[4]


def test_a_proof_waits_for_a_worker_that_starts_late_and_says_so(disagg: Deployment) -> None:
    late = disagg.planned("decode", 2, node=4)
    messages: list[str] = []

    def start(line: str) -> None:
        messages.append(line)
        if len(messages) == 1:
            disagg.start_worker(late)

    try:
        lines = seen(proved(disagg.spec(instances=[*disagg.workers, late]), start))
    finally:
        disagg.end("decode-2", signal.SIGTERM)
    assert messages[0].startswith(
        "registry  1 of 1 prefill, 2 of 3 decode workers; waiting for decode-2 on node-4 ("
    )
    assert lines["registry"] == "1 of 1 prefill, 3 of 3 decode workers"


def test_a_worker_outside_the_plan_is_listed_as_leaving_and_fails_nothing(disagg: Deployment) -> None:
    planned = [worker for worker in disagg.workers if worker.service != "decode-1"]
    lines = seen(proved(disagg.spec(instances=planned)))
    assert lines["registry"] == (f"1 of 1 prefill, 1 of 1 decode workers; leaving: {disagg.address(3)}:9401")


def test_a_killed_worker_is_named_with_its_last_words_and_its_successor_is_proved(agg: Deployment) -> None:
    agg.end("aggregated-1", signal.SIGKILL)
    try:
        name, saw, report = failure(agg.spec(seconds=SHORT))
    finally:
        agg.start_worker(agg.workers[1])
    assert (name, saw) == (
        "workers",
        "1 of 2 healthy; waiting for aggregated-1 on node-2: no connection",
    )
    assert "last lines of aggregated-1 on node-2:" in report
    assert f"nodectl logs aggregated-1 --root {agg.folder}/node-2" in report
    assert seen(proved(agg.spec()))["registry"] == "2 of 2 aggregated workers"


def test_a_frozen_worker_is_named(agg: Deployment) -> None:
    frozen = agg.processes["aggregated-0"]
    frozen.send_signal(signal.SIGSTOP)
    try:
        name, saw, _ = failure(agg.spec(seconds=SHORT))
    finally:
        frozen.send_signal(signal.SIGCONT)
    assert name == "workers"
    assert saw.startswith("1 of 2 healthy; waiting for aggregated-0 on node-1: no answer within ")


def test_a_worker_whose_request_plane_is_closed_fails_though_it_is_healthy_and_listed(
    agg: Deployment,
) -> None:
    closed = agg.advertise(agg.workers[1], 9499)
    try:
        name, saw, report = failure(agg.spec(instances=[agg.workers[0], closed], seconds=SHORT))
    finally:
        agg.advertise(closed, 9401)
    assert name == "pinned"
    assert saw.startswith("aggregated-1: ")
    assert "last lines of aggregated-1 on node-2:" in report


def test_nats_without_jetstream_fails_with_the_remedy(agg: Deployment) -> None:
    agg.start_nats("bare-nats", 3)
    try:
        name, saw, _ = failure(agg.spec(nats=f"nats://{agg.address(3)}:4222", seconds=SHORT))
    finally:
        agg.end("bare-nats", signal.SIGTERM)
    assert (name, saw) == ("nats", "NATS: answers without JetStream; start it with --jetstream")


def serves(frontend: str) -> bool:
    try:
        return bool(httpx.get(f"{frontend}/v1/models", timeout=5).json()["data"])
    except httpx.HTTPError:
        return False


def test_a_frontend_without_the_kv_router_shows_no_cache_hit(agg: Deployment) -> None:
    frontend = f"http://{agg.address(3)}:8000"
    agg.start_frontend(1, node=3, router="round-robin")
    try:
        eventually(lambda: serves(frontend), what="the other frontend knows the model", seconds=60)
        name, saw, _ = failure(agg.spec(frontends=[frontend], seconds=SHORT))
    finally:
        agg.end("frontend-1", signal.SIGTERM)
    assert name == "routing"
    assert saw == "answers name no hit rate: the frontend's router mode is not kv"


@pytest.mark.parametrize(
    ("changes", "check", "saw"),
    [
        ({"nats": "nats://127.0.0.1:1"}, "nats", "NATS: no connection"),
        ({"etcd": "127.0.0.1:1"}, "etcd", "etcd: no connection"),
        ({"frontends": ["http://127.0.0.1:1"]}, "frontend", "http://127.0.0.1:1: no connection"),
        ({"model": "tinny"}, "model", "listed: tiny; expected tinny"),
        ({"namespace": "dynamo-g2"}, "registry", "listed as dynamo-g1/backend instead of dynamo-g2/backend"),
    ],
)
def test_what_is_not_as_planned_is_named(
    agg: Deployment, changes: dict[str, Any], check: str, saw: str
) -> None:
    name, found, _ = failure(agg.spec(seconds=SHORT, **changes))
    assert name == check
    assert saw in found


@pytest.mark.parametrize(("changes", "ok", "code"), [({}, True, 0), ({"model": "tinny"}, False, 3)])
def test_the_result_is_json_on_standard_output_whatever_it_is(
    agg: Deployment, changes: dict[str, Any], ok: bool, code: int
) -> None:
    spec = codec.written(agg.spec(seconds=SHORT, **changes))
    command = [sys.executable, "-m", "nodectl", "proof"]
    completed = subprocess.run(command, cwd=PROJECT, input=spec.encode(), capture_output=True, check=False)
    result = codec.read(ProofResult, completed.stdout.decode(), "a result")
    assert (result.ok, result.digest, completed.returncode) == (ok, "0123456789abcdef", code)
    assert (b"proof failed at model" in completed.stderr) is not ok
