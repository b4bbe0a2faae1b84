"""Messages for common mistakes: in one step, in the user's own spelling, for the key that was written."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from planning import describe, plan
from planning.commands import flags as known_flags
from planning.preconditions import unmet_preconditions
from planning.sizing.cost import cost
from settings.loader import read_stack_file
from settings.problems import StackFileError

SMALLEST: dict[str, str] = {
    "target": "{kind: local, nodes: 2}",
    "pattern": "agg",
    "model": "{name: tiny, source: generated}",
    "roles": "{aggregated: {replicas: 2}}",
}
TWO = "[{name: a, address: 10.0.0.11}, {name: b, address: 10.0.0.12}]"
ONE = "[{name: a, address: 10.0.0.11}]"
GPUS = {"model": "{name: org/x}", "roles": "{aggregated: {parallelism: {tensor: 8}}}"}
AWS = "kind: aws, instanceType: p5.48xlarge"


class Said(NamedTuple):
    """Lines of a stack file's `config`, the start of the one problem, and what it says."""

    lines: Mapping[str, str]
    start: str
    phrases: tuple[str, ...]


def said(start: str, *phrases: str, **lines: str) -> Said:
    return Said({f"dynamo:{key}": value for key, value in (SMALLEST | lines).items()}, start, phrases)


def keys(start: str, *phrases: str, **lines: str) -> Said:
    """Give a case in which `target` is written under other keys."""
    rest = {f"dynamo:{key}": value for key, value in SMALLEST.items() if key != "target"}
    return Said(rest | {key.replace("__", ":"): value for key, value in lines.items()}, start, phrases)


def aws(start: str, *phrases: str, region: str = "us-east-1", target: str = "", **lines: str) -> Said:
    case = said(start, *phrases, **(GPUS | {"target": f"{{{AWS}{target}}}"} | lines))
    return case._replace(lines={"aws:region": region, **case.lines})


def dedicated(start: str, *phrases: str, inventory: str) -> Said:
    target = f"{{kind: hosts, inventory: {inventory}}}"
    return said(start, *phrases, target=target, head="dedicated", engine="mocker")


CASES = {
    "limit of cost": aws(
        "cost.maxHourly: 12.10 ", "USD an hour",
        target=", adminRanges: [203.0.113.7]", cost="{maxHourly: 12.10}",
    ),
    "number of the wrong kind": said("proofSeconds: 1.50 ", "a whole number", proofSeconds="1.50"),
    "number out of range": said("rollout.drainSeconds: 9e9 ", "86400", rollout="{drainSeconds: 9e9}"),
    "number for text": said(
        "roles.aggregated.env.A: 1.10 ", 'write "1.10" in quotes', roles="{aggregated: {env: {A: 1.10}}}"
    ),
    "number of GPUs": aws(
        "roles.aggregated.parallelism.tensor: 12.0 ", "8 GPUs", target=", adminRanges: [203.0.113.7]",
        roles="{aggregated: {parallelism: {tensor: 12.0}}}"
    ),
    "number of machines with a dedicated head": dedicated(
        "target.inventory ", "2 machines, one is the head; list 3", inventory=TWO
    ),
    "no machine but the head": dedicated("head: dedicated ", "leaves no worker", "list 2", inventory=ONE),
    "namespace of the folder": keys(
        "dynamo-multinode:target ", "write `dynamo:target`", **{"dynamo-multinode__target": "{kind: local}"}
    ),
    "namespace in capitals": keys("Dynamo:target ", "write `dynamo:target`", Dynamo__target="{kind: local}"),
    "namespace of another project": keys("app:target ", "write `dynamo:target`", app__target="{kind: local}"),
    "another namespace beside the right one": keys(
        "app:target ", "write `dynamo:target`", app__target="{kind: local}", dynamo__target="{kind: local}"
    ),
    "no namespace, misspelt": keys("targt ", "write `dynamo:target`", targt="{kind: local}"),
    "ranges within the network": aws(
        "target.adminRanges: 10.42.0.0/24 ", "name the ranges", "10.42.0.0/16",
        target=", adminRanges: [10.42.0.0/24]",
    ),
    "region of the provider": aws('aws:region: "us-est-1" ', "an AWS region", region="us-est-1"),
    "host bits of a range": aws(
        'target.adminRanges.0: "203.0.113.7/24" ', "203.0.113.0/24", "203.0.113.7/32",
        target=", adminRanges: [203.0.113.7/24]",
    ),
    "host bits of the network": aws(
        'target.network.cidr: "10.42.1.0/16" ', "host bits", "write 10.42.0.0/16",
        target=", adminRanges: [203.0.113.7], network: {cidr: 10.42.1.0/16}",
    ),
    "host bits of clients": said(
        'target.firewall.clients.0: "203.0.113.7/24" ', "203.0.113.0/24",
        target=f"{{kind: hosts, inventory: {TWO}, firewall: {{mode: manage, clients: [203.0.113.7/24]}}}}",
    ),
}  # fmt: skip


def problems(folder: Path, lines: Mapping[str, str]) -> str:
    """Return all that is said of a stack file."""
    path = folder / "Pulumi.x.yaml"
    text = "\n".join(["config:", *(f"  {key}: {value}" for key, value in lines.items()), ""])
    path.write_text(text, encoding="utf-8")
    try:
        planned = plan(read_stack_file(path))
        if found := unmet_preconditions(planned, cost(planned)):
            return str(StackFileError(found))
    except StackFileError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_a_mistake_is_named_as_it_was_written_with_its_remedy(case: Said, tmp_path: Path) -> None:
    text = problems(tmp_path, case.lines)
    assert text.startswith(f"  {case.start}"), text
    assert [phrase for phrase in case.phrases if phrase not in text] == []
    assert "1 problem, nothing was created" in text


STACK_KEYS = {
    "tensor-parallel-size": "`parallelism.tensor`",
    "pipeline-parallel-size": "`parallelism.pipeline`",
    "enable-expert-parallel": "`parallelism.expert`",
    "data-parallel-size": "`replicas`",
    "served-model-name": "`model.servedName`",
    "revision": "`model.revision`",
}
"""Flag of vLLM -> the key to use in its place."""


def spellings(flag: str) -> list[str]:
    """Return how people write a flag."""
    words = flag.split("-")
    camel = words[0] + "".join(word.title() for word in words[1:])
    short = known_flags.known("dynamo.vllm").get(flag, {}).get("short", [])
    snake = flag.replace("-", "_")
    dashed = [f"-{name}" for name in short]
    long = [flag, f"--{flag}", snake, f"--{snake}", snake.upper(), camel, f"{flag}=2", f"--{flag} 2"]
    return [*long, *short, *dashed, *(f"{name}=2" for name in dashed)]


@pytest.mark.parametrize("engine", ["vllm", "mocker"])
@pytest.mark.parametrize(("flag", "key"), STACK_KEYS.items())
def test_a_flag_that_a_key_stands_for_names_the_key_at_once(
    flag: str, key: str, engine: str, tmp_path: Path
) -> None:
    for spelling in spellings(flag):
        roles = json.dumps({"aggregated": {"flags": {spelling: 2}}})
        text = problems(tmp_path, said("", engine=engine, roles=roles).lines)
        assert f"use {key}" in text, (spelling, text)
        assert "1 problem" in text


def test_one_dash_names_of_vllm_are_known() -> None:
    short = {name for flag in known_flags.known("dynamo.vllm").values() for name in flag.get("short", ())}
    assert {"tp", "pp", "dp", "q"} <= short


@pytest.mark.parametrize(
    ("spelling", "flag"),
    [("max_model_len", "max-model-len"), ("--maxModelLen", "max-model-len"), ("-q", "quantization")],
)
def test_another_spelling_of_a_flag_gets_the_right_one(spelling: str, flag: str, tmp_path: Path) -> None:
    roles = json.dumps({"aggregated": {"flags": {spelling: 2}}})
    assert f"; write `{flag}`" in problems(tmp_path, said("", engine="vllm", roles=roles).lines)


@pytest.mark.parametrize(
    ("engine", "flags", "said_of_it"),
    [
        ("mocker", "{enforce-eager: true}", "`enforce-eager` is a flag of vLLM; write `engine: vllm`"),
        ("vllm", "{speedup-ratio: 10}", "`speedup-ratio` is a flag of the simulated engine; write"),
        ("vllm", "{enable-anthropic-api: true}", "is a flag of the frontend; write it below"),
    ],
)  # fmt: skip
def test_a_flag_of_another_module_names_it(engine: str, flags: str, said_of_it: str, tmp_path: Path) -> None:
    lines = said("", engine=engine, roles=f"{{aggregated: {{flags: {flags}}}}}").lines
    assert said_of_it in problems(tmp_path, lines)


def test_the_plan_shows_the_limit_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "Pulumi.x.yaml"
    case: Any = aws("", target=", adminRanges: [203.0.113.7]", cost="{maxHourly: 412.10}")
    path.write_text("\n".join(["config:", *(f"  {key}: {value}" for key, value in case.lines.items())]))
    assert "limit 412.10" in describe(plan(read_stack_file(path)))
