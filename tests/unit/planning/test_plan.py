"""Placement of services, refusals, and restarts by a change."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from planning import describe, plan, restarts
from planning.changes.topology import topology
from planning.reference import PAGE, PLAN_PAGE, with_plan, with_tables
from settings import Settings
from settings.loader import read_stack_file
from settings.problems import StackFileError
from tests.unit.operations.steps import run
from tests.unit.plan_examples import AWS, LLAMA, addresses, agg, disagg, places, real, services, settings

STACKS = Path(__file__).parents[3] / "stacks"


def local(**target: Any) -> dict[str, Any]:
    return {"kind": "local", **target}


def aws(**target: Any) -> dict[str, Any]:
    return {**AWS, **target}


def split(replicas: int = 1, **parallelism: int) -> dict[str, Any]:
    return {"replicas": replicas, "parallelism": parallelism}


def test_engines_are_packed_on_as_few_nodes_as_hold_them_and_roles_keep_apart() -> None:
    roles = {"prefill": split(3, tensor=2), "decode": split(1, tensor=4)}
    assert places(settings("disagg", roles, target=local(gpusPerNode=4))) == {
        "prefill-0": [("node-1", (0, 1))],
        "prefill-1": [("node-1", (2, 3))],
        "prefill-2": [("node-2", (0, 1))],
        "decode-0": [("node-3", (0, 1, 2, 3))],
    }


def test_engines_are_spread_over_the_nodes_that_are_given() -> None:
    roles = {"aggregated": split(3, tensor=2)}
    assert places(settings("agg", roles, target=local(gpusPerNode=4, nodes=2))) == {
        "aggregated-0": [("node-1", (0, 1))],
        "aggregated-1": [("node-2", (0, 1))],
        "aggregated-2": [("node-1", (2, 3))],
    }


def test_roles_share_nodes_when_there_are_too_few_to_keep_apart() -> None:
    assert places(disagg(1, 1, target=local(gpusPerNode=2, nodes=1))) == {
        "prefill-0": [("node-1", (0,))],
        "decode-0": [("node-1", (1,))],
    }


def test_an_engine_that_needs_more_gpus_than_a_node_takes_whole_nodes() -> None:
    roles = {"prefill": split(tensor=8), "decode": split(tensor=16)}
    assert places(real("disagg", roles)) == {
        "prefill-0": [("node-1", tuple(range(8)))],
        "decode-0": [("node-2", tuple(range(8))), ("node-3", tuple(range(8)))],
    }


def test_a_pipeline_spans_nodes_as_more_tensor_parallel_ranks_do() -> None:
    roles = {"aggregated": split(tensor=4, pipeline=4)}
    assert places(real("agg", roles)) == {
        "aggregated-0": [("node-1", tuple(range(8))), ("node-2", tuple(range(8)))]
    }


@pytest.mark.parametrize(
    ("head", "nodes", "where"),
    [
        ("colocated", ["node-1", "node-2"], "node-1"),
        ({"placement": "colocated", "node": 2}, ["node-1", "node-2"], "node-2"),
        ("dedicated", ["head", "node-1", "node-2"], "head"),
    ],
)
def test_the_head_is_a_worker_node_or_one_of_its_own(head: Any, nodes: list[str], where: str) -> None:
    made = plan(agg(2, head=head))
    assert [node.name for node in made.nodes] == nodes
    assert made.head == where
    assert {service.name for service in made.services_on(where)} >= {"nats", "etcd", "frontend"}


def test_nodes_that_no_engine_needs_stay_in_the_plan() -> None:
    assert "node-3  nothing" in describe(plan(agg(2, target=local(nodes=3))))


REFUSED = [
    (
        real("disagg", {"prefill": split(tensor=6), "decode": split(tensor=8)}),
        "roles.prefill.parallelism.tensor: 6",
        "each p5.48xlarge has 8 GPUs and the model has 64 attention heads; use 1, 2, 4, 8, 16, 32, 64",
    ),
    (
        real("agg", {"aggregated": split(tensor=12)}, model={"name": "someone/model"}),
        "roles.aggregated.parallelism.tensor: 12",
        "each p5.48xlarge has 8 GPUs; use 1, 2, 3, 4, 5, 6, 7, 8, 16",
    ),
    (
        settings("agg", {"aggregated": split(tensor=3)}, engine="vllm"),
        "roles.aggregated.parallelism.tensor: 3",
        "the model has 4 attention heads; use 1, 2, 4",
    ),
    (
        agg(5, target=local(nodes=2, gpusPerNode=2)),
        "target.nodes: 2",
        "cannot hold 5 x aggregated of 1 GPU: 5 of 2 x 2 = 4 GPUs; write 3, or lower `replicas`",
    ),
    (
        disagg(1, 1, target=local(nodes=1)),
        "target.nodes: 1",
        "cannot hold 1 x prefill of 1 GPU and 1 x decode of 1 GPU: 2 of 1 x 1 = 1 GPU; write 2",
    ),
    (agg(3000), "roles", "3000 x aggregated of 1 GPU need 3000 nodes of 1 GPU, expected at most 2048"),
    (agg(target=local(gpusPerNode=129)), "target.gpusPerNode: 129", "expected at most 128"),
    (
        real("agg", {"aggregated": {}}, target=aws(instanceType="p5.huge")),
        "target.instanceType: p5.huge",
        "did you mean p5.4xlarge or p5.48xlarge",
    ),
    (agg(2, head={"node": 3}), "head.node: 3", "expected 1 to 2"),
    (agg(2, head={"placement": "dedicated", "node": 2}), "head.node: 2", "remove it"),
    (
        settings("agg", {"aggregated": {}, "frontend": {"replicas": 2}}),
        "roles.frontend.replicas: 2",
        "expected at most 1",
    ),
    (
        real("agg", {"aggregated": {"flags": {"tensor-parallel-size": 8}}}),
        "roles.aggregated.flags.tensor-parallel-size: 8",
        "use `parallelism.tensor`",
    ),
    (
        real("disagg", {"prefill": {}, "decode": {"flags": {"is-prefill-worker": True}}}),
        "roles.decode.flags.is-prefill-worker: true",
        "use `pattern`",
    ),
    (
        settings("agg", {"aggregated": {}, "frontend": {"flags": {"http-port": 80}}}),
        "roles.frontend.flags.http-port: 80",
        "docs/ports.md",
    ),
    (
        settings("agg", {"aggregated": {"env": {"NATS_SERVER": "nats://elsewhere"}}}),
        'roles.aggregated.env.NATS_SERVER: "nats://elsewhere"',
        "planned from `head`",
    ),
    (
        settings("agg", {"aggregated": {"env": {"DYNAMO_MULTINODE_NODE": "x y " * 25}}}),
        f'roles.aggregated.env.DYNAMO_MULTINODE_NODE: "{"x y " * 14}x y… (100 characters)',
        "planning decides it",
    ),
    (
        real("agg", {"aggregated": {"flags": {"enforce-eagr": True}}}),
        "roles.aggregated.flags",
        "did you mean `enforce-eager`",
    ),
    (
        real("disagg", {"prefill": {}, "decode": {"flags": {"dtype": "float32"}}}),
        'roles.decode.flags.dtype: "float32"',
        "prefill has none",
    ),
]


@pytest.mark.parametrize(("file", "subject", "remedy"), REFUSED, ids=[case[1] for case in REFUSED])
def test_what_cannot_be_is_refused_with_key_value_and_remedy(
    file: Settings, subject: str, remedy: str
) -> None:
    with pytest.raises(StackFileError) as refused:
        plan(file)
    [problem] = refused.value.problems
    assert problem.subject == subject
    assert remedy in problem.message


def test_all_problems_of_a_stack_file_are_told_at_once() -> None:
    roles = {
        "prefill": split(tensor=6) | {"flags": {"model": "other"}},
        "decode": split(tensor=5) | {"env": {"DYN_NAMESPACE": "mine"}},
        "frontend": {"flags": {"router-mod": "kv"}},
    }
    with pytest.raises(StackFileError) as refused:
        plan(real("disagg", roles))
    assert [problem.key for problem in refused.value.problems] == [
        "roles.decode.env.DYN_NAMESPACE",
        "roles.decode.parallelism.tensor",
        "roles.frontend.flags",
        "roles.prefill.flags.model",
        "roles.prefill.parallelism.tensor",
    ]


def test_a_simulated_engine_may_have_any_size_that_the_real_one_has() -> None:
    roles = {"aggregated": split(tensor=16)}
    assert len(plan(settings("agg", roles, target=local(gpusPerNode=8))).nodes) == 2


def generation(file: Settings) -> str:
    return plan(file).generation


def both(**flags: Any) -> Settings:
    return real("disagg", {"prefill": {"flags": flags}, "decode": {"flags": flags}})


def test_only_what_nixl_compares_makes_another_generation() -> None:
    assert generation(both()) == generation(both(**{"max-num-seqs": 8, "enforce-eager": True}))
    assert generation(both()) == generation(real("disagg", {"prefill": {"replicas": 2}, "decode": {}}))
    others = [
        both(dtype="float16"),
        both(**{"kv-cache-dtype": "fp8"}),
        real("disagg", {"prefill": {}, "decode": {}}, model={"name": LLAMA, "revision": "main"}),
        real("agg", {"aggregated": {}}),
    ]
    assert len({generation(file) for file in [both(), *others]}) == 5


def changes(before: Settings, after: Settings) -> list[str]:
    """Return what the change restarts, when nodes keep their addresses."""
    old, new = plan(before), plan(after)
    known = addresses(max(old, new, key=lambda made: len(made.nodes)))
    return restarts(read_back(topology(old, known)), topology(new, known))


def read_back(output: object) -> Any:
    """Return a stack output as a stack reference reads it: Pulumi's numbers are floating-point ones."""
    return json.loads(json.dumps(output), parse_int=float)


def test_nothing_restarts_when_nothing_changed_and_nothing_is_said_of_a_new_stack() -> None:
    assert changes(disagg(), disagg()) == []
    assert changes(agg(2), agg(2)) == []
    assert restarts(None, topology(plan(agg()), addresses(plan(agg())))) == []


def test_a_changed_decode_flag_restarts_the_decode_workers_alone() -> None:
    changed = settings("disagg", {"prefill": {}, "decode": {"replicas": 2, "flags": {"max-num-seqs": 8}}})
    assert changes(disagg(1, 2), changed) == [
        "decode-0 on node-2 restarts: flags changed",
        "decode-1 on node-3 restarts: flags changed",
        "2 decode workers restart one after another",
    ]


def test_the_only_worker_of_a_role_is_said_to_interrupt_serving() -> None:
    changed = settings("disagg", {"prefill": {"env": {"NCCL_DEBUG": "INFO"}}, "decode": {"replicas": 2}})
    assert changes(disagg(1, 2), changed) == [
        "prefill-0 on node-1 restarts: environment changed",
        "interrupts serving: the only prefill worker restarts",
    ]


def test_a_longer_drain_restarts_what_drains() -> None:
    changed = agg(2, rollout={"drainSeconds": 120})
    assert changes(agg(2), changed) == [
        "aggregated-0 on node-1 restarts: stop time changed",
        "frontend on node-1 restarts: stop time changed",
        "aggregated-1 on node-2 restarts: stop time changed",
        "2 aggregated workers restart one after another",
        "interrupts serving: the only frontend restarts",
    ]


def test_other_versions_restart_every_service() -> None:
    before = topology(plan(agg(2)), addresses(plan(agg(2))))
    other = replace(plan(agg(2)).runtime, lock="0123456789ab")
    after = topology(replace(plan(agg(2)), runtime=other), addresses(plan(agg(2))))
    lines = restarts(before, after)
    assert len(lines) == len(plan(agg(2)).services) + 2
    assert "nats on node-1 restarts: runtime changed" in lines


def test_fewer_replicas_stop_the_last_worker_and_more_start_one() -> None:
    assert changes(disagg(1, 3), disagg(1, 2)) == ["decode-2 on node-4 stops"]
    assert changes(disagg(1, 2), disagg(1, 3)) == ["decode-2 on node-4 starts"]


def test_another_pattern_replaces_every_worker() -> None:
    assert changes(agg(2), disagg(1, 1)) == [
        "aggregated-0 on node-1 stops",
        "prefill-0 on node-1 starts",
        "aggregated-1 on node-2 stops",
        "decode-0 on node-2 starts",
        "interrupts serving: the pattern changes, every worker is replaced",
    ]


def test_another_head_restarts_everything_that_is_told_its_address() -> None:
    lines = changes(agg(2), agg(2, head={"node": 2}))
    assert "nats on node-1 stops" in lines
    assert "nats on node-2 starts" in lines
    assert "aggregated-0 on node-1 restarts: environment changed" in lines
    assert "interrupts serving: the only frontend moves" in lines


def test_as_many_restart_at_once_as_the_stack_file_allows() -> None:
    def changed(limit: int) -> list[str]:
        roles = {"aggregated": {"replicas": 3, "flags": {"max-num-seqs": 8}}}
        return changes(agg(3), settings("agg", roles, rollout={"maxUnavailable": limit}))

    assert "3 aggregated workers restart at most 2 at once" in changed(2)
    assert (
        "interrupts serving: all 3 aggregated workers may restart at once (rollout.maxUnavailable)"
        in changed(3)
    )


def test_another_model_interrupts_serving_only_where_a_role_has_one_worker() -> None:
    other = {"name": "other", "source": "generated"}
    said = [line for line in changes(disagg(1, 2), disagg(1, 2, model=other)) if "interrupts" in line]
    assert said == ["interrupts serving: the only prefill worker restarts"]
    for before, after in ((disagg(2, 2), disagg(2, 2, model=other)), (agg(2), agg(2, model=other))):
        assert not any("interrupts" in line for line in changes(before, after))


def test_workers_that_all_move_are_said_to_interrupt_serving() -> None:
    lines = changes(disagg(1, 1), disagg(2, 1))
    assert "decode-0 on node-2 stops" in lines
    assert "interrupts serving: the only decode worker moves" in lines


SHIPPED = sorted(STACKS.glob("Pulumi.*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_every_shipped_stack_can_be_planned_and_printed(path: Path) -> None:
    made = plan(read_stack_file(path))
    printed = describe(made, addresses(made))
    for service in made.services:
        assert service.name.removesuffix("-rank-1") in printed
    assert all(node.name in printed for node in made.nodes)


def test_the_shapes_of_the_shipped_stacks_are_those_of_their_names() -> None:
    shapes = {
        path.name.split(".")[1]: [
            (engine.role, len(engine.ranks)) for engine in plan(read_stack_file(path)).engines
        ]
        for path in SHIPPED
    }
    assert (
        shapes.items()
        >= {
            "agg": [("aggregated", 1), ("aggregated", 1)],
            "disagg": [("prefill", 1), ("decode", 1)],
            "large": [("aggregated", 2)],
            "local": [("aggregated", 1), ("aggregated", 1)],
            "local-disagg": [("prefill", 1), ("decode", 1), ("decode", 1)],
            "local-vllm": [("aggregated", 1), ("aggregated", 1)],
            "local-vllm-disagg": [("prefill", 1), ("decode", 1)],
            "local-vllm-large": [("aggregated", 2)],
        }.items()
    )


def test_a_wrong_stack_file_is_answered_with_its_name_and_every_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "stacks").mkdir()
    text = (STACKS / "Pulumi.disagg.yaml").read_text(encoding="utf-8")
    (tmp_path / "stacks/Pulumi.wrong.yaml").write_text(
        text.replace("tensor: 8", "tensor: 6"), encoding="utf-8"
    )
    monkeypatch.chdir(tmp_path)
    assert run("plan", "wrong") == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[0] == "stacks/Pulumi.wrong.yaml"
    assert err.count("cannot be placed: each p5.48xlarge has 8 GPUs") == 2
    assert err.splitlines()[-1] == "2 problems, nothing was created"


def test_the_ports_page_shows_what_the_shipped_stacks_open(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(STACKS.parent)
    page = PAGE.read_text(encoding="utf-8")
    assert with_tables(page) == page, "python -m planning.reference writes it anew"


def test_the_page_on_aws_shows_what_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(STACKS.parent)
    page = PLAN_PAGE.read_text(encoding="utf-8")
    assert with_plan(page) == page, "python -m planning.reference writes it anew"


def test_a_plan_is_printed_with_addresses_where_they_are_known() -> None:
    made = plan(agg(2))
    assert describe(made, {"node-1": "127.77.0.11", "node-2": "127.77.0.12"}).splitlines()[:3] == [
        "plan       local · agg · 2 nodes of 1 GPU · router kv · engine mocker · model tiny",
        "  node-1  127.77.0.11  nats 4222 · etcd 2379 · frontend 8000 · aggregated-0",
        "  node-2  127.77.0.12  aggregated-1",
    ]


def test_a_plan_for_machines_is_printed_with_gpus_and_splits() -> None:
    lines = describe(plan(real("agg", {"aggregated": split(tensor=16)}))).splitlines()
    assert lines[0].startswith("plan       aws · agg · 2 x p5.48xlarge (8 x H100 80 GiB, 32 EFA) · ")
    assert lines[3] == "  node-2  10.42.0.12  aggregated-0 rank 1 of 2 TP16 GPUs 0-7"


FITS_TP4 = (
    "weights 141 GB → 35.3 GB a GPU · KV 320 KiB a token → at most 534,064 tokens"
    " · context 131,072 × 4 sequences"
)
FITS_TP8 = (
    "weights 141 GB → 17.6 GB a GPU · KV 320 KiB a token → at most 1.5 M tokens"
    " · context 131,072 × 11 sequences"
)


def test_a_plan_for_aws_says_where_what_fits_what_it_costs_and_who_comes_in() -> None:
    made = plan(read_stack_file(STACKS / "Pulumi.disagg.yaml"))
    lines = describe(made).splitlines()
    assert lines[1:7] == [
        "place      us-east-1a · nodes in 10.42.0.0/17 · placement group of its own · on-demand",
        "  node-1  10.42.0.11  nats 4222 · etcd 2379 · frontend 8000 · prefill-0 TP8 GPUs 0-7",
        "  node-2  10.42.0.12  decode-0 TP8 GPUs 0-7",
        f"fit        {FITS_TP8}",
        "cost       110.26 USD an hour · 80,491 USD a month · snapshot of 2026-01-21 · limit 120",
        "outside    8000 from 203.0.113.0/24 · 22 from 203.0.113.7/32 · nothing else",
    ]


def shown(of: Settings, heading: str) -> list[str]:
    """Return the lines of a printed plan that begin with `heading`, without it."""
    return [line[11:] for line in describe(plan(of)).splitlines() if line.startswith(heading)]


def test_roles_that_fit_differently_are_told_apart() -> None:
    assert shown(real("disagg", {"prefill": split(tensor=4), "decode": split(tensor=8)}), "fit") == [
        f"prefill: {FITS_TP4}",
        f"decode: {FITS_TP8}",
    ]


def test_a_model_that_is_not_known_is_said_to_be_so_and_simulated_engines_need_no_fit() -> None:
    of = real("agg", {"aggregated": {}}, model={"name": "someone/model"})
    assert shown(of, "fit") == [
        "not known: someone/model is no model that is known here; write its `model.shape`"
    ]
    assert shown(real("agg", {"aggregated": {}}, engine="mocker"), "fit") == []


RESERVATION = "cr-0123456789abcdef0"
BLOCK = {"option": "capacity-block", "reservationId": RESERVATION}
PLACES = [
    (
        {"purchase": BLOCK, "zone": "us-east-1b"},
        f"us-east-1b · nodes in 10.42.0.0/17 · placement group none · capacity-block {RESERVATION}",
        " · snapshot of 2026-01-21, of on-demand instances; a capacity block is paid for when it is bought",
    ),
    (
        {"instanceType": "p5e.48xlarge", "purchase": "spot", "placementGroup": "theirs"},
        "us-east-1a · nodes in 10.42.0.0/17 · placement group theirs · spot",
        "the most that spot costs · without p5e.48xlarge, whose price is not known · limit 5, which this ",
    ),
]


@pytest.mark.parametrize(("given", "place", "price"), PLACES)
def test_where_instances_are_and_what_their_price_means_is_said(
    given: dict[str, Any], place: str, price: str
) -> None:
    of = real("agg", {"aggregated": {}}, target=aws(**given), cost={"maxHourly": 5})
    assert shown(of, "place") == [place]
    [told] = shown(of, "cost")
    assert price in told


def test_session_manager_is_said_to_be_the_way_in() -> None:
    of = real("agg", {"aggregated": {}}, target=aws(access="ssm", clientRanges=["203.0.113.0/24"]))
    assert shown(of, "outside") == ["8000 from 203.0.113.0/24 · SSH through Session Manager · nothing else"]


def test_a_plan_that_may_not_be_brought_up_yet_is_shown_and_then_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(STACKS.parent)
    assert run("plan", "disagg") == 2
    out, err = capsys.readouterr()
    assert out.startswith("plan       aws · disagg")
    assert "huggingFaceToken  missing: meta-llama/Llama-3.3-70B-Instruct is gated" in err
    assert err.splitlines()[-1] == "1 problem, nothing was created"
    assert run("plan", "local") == 0


def test_a_quantisation_of_gguf_weights_is_a_model_and_plan_says_what_reads_it() -> None:
    gguf = {"name": "unsloth/Qwen3-0.6B-GGUF:Q4_K_M"}
    made = plan(real("agg", {"aggregated": {"parallelism": {"tensor": 1}}}, model=gguf))
    assert any("vllm-gguf-plugin" in note for note in made.notes)
    simulated = services(agg(model=gguf))["node-1/aggregated-0"]
    assert simulated.flags["model-path"] == "${model}", "of which only the tokenizer is read"
    assert simulated.flags["model-name"] == gguf["name"]
