"""Several frontends behind the balancer: each restarts, comes and goes, and no request is lost."""

import contextlib
import os
import re
import signal
import time
from collections.abc import Callable
from threading import Thread
from typing import Any

import httpx
import pytest

from settings.ports import PortSettings
from tests.engine.deployment.checkout import Checkout, eventually
from tests.load import Load, Report

STACK = "balanced"
MODEL = "tiny"
INFLIGHT = re.compile(r"^dynamo_component_inflight_requests(?:\{.*\})? ([\d.e+]+)$", re.MULTILINE)


def wanting(count: int, **flags: Any) -> Callable[[dict[str, Any]], None]:
    """Return an edit that sets the number of frontends, and their flags."""
    roles = {
        "frontend": {"replicas": count, "flags": flags},
        "aggregated": {"replicas": 3, "flags": {"speedup-ratio": 1}},
    }
    return lambda config: config.update({"dynamo:pattern": "agg", "dynamo:roles": roles})


@pytest.fixture(scope="module")
def endpoint(checkout: Checkout) -> str:
    """Deploy two frontends and three workers on three nodes, and return where to ask."""
    checkout.copy_stack("local", STACK)
    checkout.edit(STACK, wanting(2))
    checkout.run("scripts/up", STACK)
    found: str = checkout.outputs(STACK)["endpoint"]
    return found


def readiness(checkout: Checkout, node: str) -> str:
    addresses = {node["name"]: node["address"] for node in checkout.outputs(STACK)["topology"]["nodes"]}
    return f"http://{addresses[node]}:{PortSettings().gate}/ready"


def restarted(checkout: Checkout, name: str, before: int) -> Callable[[], bool]:
    return lambda: checkout.pids(STACK)[name] not in (None, before)


def known(readiness: str) -> Callable[[], bool]:
    return lambda: httpx.get(readiness, timeout=5).status_code == httpx.codes.OK


def under_load(endpoint: str) -> Load:
    """Return 10 requests a second, half of them streams of several seconds."""
    return Load(endpoint, MODEL, stream_tokens=600)


def nothing_failed(report: Report, what: str) -> None:
    print(report.row(what))
    assert report.requests > 30
    assert report.streams > 5
    assert report.failures == []


def test_each_of_two_frontends_restarts_under_load_and_no_request_fails(
    checkout: Checkout, endpoint: str
) -> None:
    with under_load(endpoint) as load:
        for node in ("node-1", "node-2"):
            eventually(lambda: load.streaming, seconds=20, what="streams are in flight")
            name, url = f"{node}/frontend", readiness(checkout, node)
            before = checkout.pids(STACK)[name]
            os.kill(before, signal.SIGTERM)
            eventually(restarted(checkout, name, before), seconds=60, what=f"{name} runs again")
            eventually(known(url), seconds=60, what=f"the balancer knows {name}")
        time.sleep(1)  # of load on both
    nothing_failed(load.report, "each of two frontends restarts")


@pytest.mark.slow
def test_frontends_come_and_go_under_load_and_the_balancer_goes_on(checkout: Checkout, endpoint: str) -> None:
    before = checkout.pids(STACK)
    with under_load(endpoint) as load:
        for count in (3, 2):
            checkout.edit(STACK, wanting(count))
            checkout.up(STACK)
            after = checkout.pids(STACK)
            assert ("node-3/frontend" in after) == (count == 3)
            assert {name: after[name] for name in before} == before
    nothing_failed(load.report, "a third frontend comes and goes")
    checkout.unchanged(STACK)
    assert checkout.outputs(STACK)["endpoint"] == endpoint


def test_a_changed_flag_of_the_frontends_loses_no_request(checkout: Checkout, endpoint: str) -> None:
    before = checkout.pids(STACK)
    checkout.edit(STACK, wanting(2, **{"migration-limit": 4}))
    with under_load(endpoint) as load:
        eventually(lambda: load.streaming, seconds=20, what="streams are in flight")
        checkout.up(STACK)
    nothing_failed(load.report, "a flag of two frontends changes")
    after = checkout.pids(STACK)
    moved = {name for name in before if before[name] != after[name]}
    assert moved == {"node-1/frontend", "node-2/frontend"}


def workers(checkout: Checkout) -> list[str]:
    """Return where the metrics of each worker are."""
    topology = checkout.outputs(STACK)["topology"]
    addresses = {node["name"]: node["address"] for node in topology["nodes"]}
    nodes = [engine["ranks"][0]["node"] for engine in topology["engines"]]
    return [f"http://{addresses[node]}:{PortSettings().system}/metrics" for node in nodes]


def held(metrics: list[str]) -> float:
    """Return how many requests the workers are busy with, together."""
    pages = [httpx.get(url, timeout=5).text for url in metrics]
    return sum(float(count) for page in pages for count in INFLIGHT.findall(page))


def leave(url: str, *, stream: bool) -> None:
    """Ask for what takes minutes, and leave: in the middle of a stream, or before there is any answer."""
    body = {
        "model": MODEL,
        "messages": [{"role": "user", "content": f"Hello {time.monotonic()}"}],
        "max_tokens": 600,
        "ignore_eos": True,
        "stream": stream,
    }
    with (
        contextlib.suppress(httpx.ReadTimeout),
        httpx.stream("POST", f"{url}/v1/chat/completions", json=body, timeout=3) as reply,
    ):
        for number, _ in enumerate(reply.iter_lines()):
            if number == 16:
                break


def slow(pattern: str) -> Callable[[dict[str, Any]], None]:
    """Return an edit to two frontends and workers that take minutes for 600 tokens."""
    flags = {"speedup-ratio": 0.05}
    workers: dict[str, Any] = {"aggregated": {"replicas": 2, "flags": flags}}
    if pattern == "disagg":
        workers = {"prefill": {"replicas": 1}, "decode": {"replicas": 2, "flags": flags}}
    roles = {"frontend": {"replicas": 2}, **workers}
    return lambda config: config.update({"dynamo:pattern": pattern, "dynamo:roles": roles})


@pytest.mark.parametrize("pattern", ["agg", "disagg"])
def test_a_client_that_leaves_takes_its_request_from_the_workers(
    checkout: Checkout, endpoint: str, pattern: str
) -> None:
    checkout.edit(STACK, slow(pattern))
    checkout.up(STACK)
    ports, metrics = PortSettings(), workers(checkout)
    frontend = endpoint.replace(f":{ports.frontend}", f":{ports.balanced_frontend}")
    for url in (endpoint, frontend):
        for stream in (False, True):
            left = [Thread(target=leave, args=(url,), kwargs={"stream": stream}) for _ in range(4)]
            for client in left:
                client.start()
            eventually(lambda: held(metrics) >= 4, seconds=3, what="the workers are busy")
            for client in left:
                client.join()
            what = f"{pattern}: nobody waits at {url}, and nobody works (stream: {stream})"
            eventually(lambda: held(metrics) == 0, seconds=10, what=what)


@pytest.mark.slow
def test_a_single_frontend_takes_the_balancers_place_at_the_same_endpoint(
    checkout: Checkout, endpoint: str
) -> None:
    checkout.edit(STACK, wanting(1))
    preview = checkout.run("pulumi", "preview", "--stack", STACK).stdout
    assert "balancer on node-1 stops" in preview
    assert "interrupts serving: the only frontend restarts" in preview
    checkout.up(STACK)
    outputs = checkout.outputs(STACK)
    assert outputs["endpoint"] == endpoint
    assert outputs["proof"]["ok"]
    assert "node-1/balancer" not in checkout.pids(STACK)
