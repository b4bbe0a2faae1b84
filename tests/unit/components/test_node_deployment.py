"""Resources of a node: few, grouped by node, and found again in stacks that exist."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pulumi
import pytest
from pulumi.runtime import mocks

import planning
from components.deployment import Deployment, DeploymentArgs
from components.node import Node
from components.tokens import NODE
from planning.values import Plan
from settings.models import Settings
from tests.recording_monitor import RecordingMonitor

COMMAND = "command:local:Command"
SECRETS = {"HF_TOKEN": "hf_planted0123456789"}
PROOF = json.dumps({"passed": True})


class _Engine(mocks.Mocks):
    def new_resource(self, args: mocks.MockResourceArgs) -> tuple[str, dict[str, Any]]:
        return f"id-{args.name}", {**args.inputs, "stdout": PROOF}

    def call(self, args: mocks.MockCallArgs) -> tuple[dict[Any, Any], None]:
        raise AssertionError(args.token)


def hosts(count: int) -> Plan:
    inventory = [
        {"name": f"gpu-{n}", "address": f"10.0.{n // 250}.{n % 250 + 1}"} for n in range(1, count + 1)
    ]
    return planning.plan(
        Settings.model_validate(
            {
                "target": {"kind": "hosts", "inventory": inventory, "gpusPerNode": 1},
                "pattern": "agg",
                "engine": "mocker",
                "model": {"name": "Qwen/Qwen3-0.6B"},
                "roles": {"frontend": {}, "aggregated": {"replicas": count}},
            }
        )
    )


def registered(plan: Plan, secrets: Mapping[str, str]) -> RecordingMonitor:
    """Return what the deployment of a plan on hosts registers."""
    recorder = RecordingMonitor(_Engine())
    mocks.set_mocks(recorder.mocks, "dynamo", "lab", preview=False, monitor=recorder)
    addresses = {entry.name: entry.address for entry in plan.settings.target.inventory}  # type: ignore[union-attr]

    def run() -> pulumi.Output[Any]:
        nodes = [
            Node(
                name,
                address,
                ("nodectl", name),
                ("undo", name),
                identity=f"id of {name}",
                root=f"/r/{name}",
                here=False,
            )
            for name, address in addresses.items()
        ]
        return Deployment("lab", DeploymentArgs(plan, nodes, secrets)).proof

    mocks.test(run)()  # type: ignore[no-untyped-call]
    return recorder


def all_requests(recorder: RecordingMonitor) -> list[Any]:
    return [registration.request for registration in recorder.registered]


def of_nodes(requests: Sequence[Any]) -> dict[str, list[Any]]:
    """Return by node its component and what is below that."""
    grouped: dict[str, list[Any]] = defaultdict(list)
    for request in requests:
        if request.type == NODE:
            grouped[request.name].append(request)
        elif NODE in request.parent:
            grouped[request.parent.rpartition("::")[2]].append(request)
    return grouped


@pytest.fixture(scope="module")
def three() -> RecordingMonitor:
    return registered(hosts(3), SECRETS)


def test_a_node_is_a_component_with_at_most_four_commands(three: RecordingMonitor) -> None:
    grouped = of_nodes(all_requests(three))
    assert set(grouped) == {"gpu-1", "gpu-2", "gpu-3"}
    verbs = ("install", "secrets", "apply", "probe")
    for node, requests in grouped.items():
        commands = [request.name for request in requests if request.type == COMMAND]
        # what does not wait for one another is registered in any order
        assert sorted(commands) == sorted(f"{node}-{verb}" for verb in verbs)
        assert len(requests) <= 5
    assert len(all_requests(three)) == 3 * 5 + 4, "beside nodes: stack, deployment, proof and its command"


def test_state_says_how_a_node_is_reached_as_data(three: RecordingMonitor) -> None:
    outputs = next(found for urn, found in three.outputs.items() if urn.endswith(f"{NODE}::gpu-2"))
    assert outputs["nodectl"] == ["nodectl", "gpu-2"]
    assert (outputs["root"], outputs["here"], outputs["address"]) == ("/r/gpu-2", False, "10.0.0.3")
    assert {verb: outputs["commands"][verb] for verb in ("install", "secrets", "apply")} == {
        "install": "gpu-2-install",
        "secrets": "gpu-2-secrets",
        "apply": "gpu-2-apply",
    }
    assert SECRETS["HF_TOKEN"] not in json.dumps(outputs)


def test_every_command_is_found_under_the_component_that_it_had_up_to_release_0_2(
    three: RecordingMonitor,
) -> None:
    former = {"install": "Runtime", "secrets": "Secrets", "apply": "Services", "probe": "Reach"}
    for node, requests in of_nodes(all_requests(three)).items():
        component = next(request for request in requests if request.type == NODE)
        assert [alias.spec.type for alias in component.aliases] == ["dynamo:node:Services"]
        for request in requests:
            if request.type == COMMAND:
                kind = former[request.name.removeprefix(f"{node}-")]
                types = f"dynamo:index:Deployment$dynamo:node:{kind}${COMMAND}"
                urn = f"urn:pulumi:lab::dynamo::{types}::{request.name}"
                assert urn in [alias.urn for alias in request.aliases]


def test_dependencies_grow_as_the_nodes_do_not_as_their_pairs() -> None:
    def dependencies(count: int) -> int:
        return sum(len(request.dependencies) for request in all_requests(registered(hosts(count), {})))

    few, more, most = (dependencies(count) for count in (4, 8, 16))
    assert most - more == 2 * (more - few)


def test_a_probe_waits_until_every_node_is_at_its_manifest(three: RecordingMonitor) -> None:
    order = [request.name for request in all_requests(three) if request.type == COMMAND]
    last_apply = max(order.index(f"gpu-{n}-apply") for n in (1, 2, 3))
    assert all(order.index(f"gpu-{n}-probe") > last_apply for n in (1, 2, 3))
