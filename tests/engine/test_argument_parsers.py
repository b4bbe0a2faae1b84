"""Every planned command line, judged by the argument parsers of the locked Dynamo and vLLM themselves."""

import json
from pathlib import Path

import pytest

from nodectl.services.argv import Folders, argv
from nodectl.verbs.install import provide
from planning import manifests, plan
from planning.commands import flags, reserved
from settings.loader import read_stack_file
from tests.engine.parsers import ask
from tests.install_specs import spec

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
STACK_FILES = sorted((PROJECT / "stacks").glob("Pulumi.*.yaml"))
FOLDERS = Folders(
    Path("/env"), engine="python", stores={}, data=Path("/data"), models=Path("/models"), s3=Path("/s3")
)


SECONDS = 400
"""Bound on one question: an import of vLLM takes most of it."""

HOW_LOW = {"least", "above", "most", "below"}
"""Ranges are told by vLLM's configuration, which needs the model, and not by its parser."""

WRONG = [
    ("dynamo.frontend", ["--router-modus", "kv"]),
    ("dynamo.frontend", ["--router-mode", "best"]),
    ("dynamo.mocker", ["--model-path", "/models/tiny", "--tensor-parallel-size", "2"]),
    ("dynamo.vllm", ["--model", "/models/tiny", "--is-prefill-worker"]),
    ("dynamo.vllm", ["--model", "/models/tiny", "--max-model-l", "8192"]),
    ("dynamo.vllm", ["--model", "/models/tiny", "--kv-transfer-config", "{"]),
]


@pytest.fixture(scope="module")
def python() -> str:
    """The Python of the environment that has all of Dynamo and vLLM."""
    return str(provide(spec(variant="cpu"))["python"])


def command_lines(stack_file: Path) -> dict[str, tuple[str, list[str]]]:
    """Return module and arguments of every planned Dynamo process, by stack, node and service."""
    planned = plan(read_stack_file(stack_file))
    addresses = {node.name: f"10.0.0.{number}" for number, node in enumerate(planned.nodes, 1)}
    return {
        f"{stack_file.stem}/{node}/{name}": (service.module, argv(service, FOLDERS)[3:])
        for node, manifest in manifests(planned, addresses).items()
        for name, service in manifest.services.items()
        if service.module.startswith("dynamo.")
    }


def test_the_real_parsers_accept_what_is_planned_and_nothing_wrong(python: str) -> None:
    lines = {name: line for file in STACK_FILES for name, line in command_lines(file).items()}
    assert {module for module, _ in lines.values()} == {"dynamo.frontend", "dynamo.mocker", "dynamo.vllm"}
    answers = ask(
        python, "check", [*lines.values(), *WRONG], seconds=SECONDS
    )  # one import of vLLM takes most of the time
    complaints = dict(zip(lines, answers, strict=False))
    assert {name: complaint for name, complaint in complaints.items() if complaint} == {}
    assert [
        case for case, complaint in zip(WRONG, answers[len(lines) :], strict=True) if complaint is None
    ] == []


def test_plan_refuses_those_values_that_vllms_parser_refuses(python: str) -> None:
    cases = [
        (name, value)
        for name, flag in flags.known("dynamo.vllm").items()
        if {"accepts", "choices"} & flag.keys() and flag["takes"] == "value" and not HOW_LOW & flag.keys()
        for value in ("x", "7", "2.5", "{}")
        if name not in reserved.FLAGS["dynamo.vllm"] and "routes" not in flag
    ]
    lines = [("dynamo.vllm", ["--model", "/models/tiny", f"--{name}={value}"]) for name, value in cases]
    wrong = {
        f"{name}: {value}": complaint
        for (name, value), complaint in zip(cases, ask(python, "check", lines, seconds=SECONDS), strict=True)
        if bool(complaint) != bool(flags.problems("dynamo.vllm", {name: value}))
    }
    assert wrong == {}


def test_flags_and_environment_names_are_those_of_the_locked_versions(python: str) -> None:
    for name, known in ask(python, "known", seconds=SECONDS).items():
        written = json.loads((PROJECT / "planning/commands/flags" / name).read_text(encoding="utf-8"))
        assert written == known, "run scripts/generate-flags"
