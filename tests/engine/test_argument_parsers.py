"""Every planned command line, judged by the argument parsers of the locked Dynamo and vLLM themselves."""

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nodectl.argv import Folders, argv
from nodectl.install import install
from planning import manifests, plan
from settings.reading import read_stack_file

pytestmark = pytest.mark.slow

PROJECT = Path(__file__).parents[2]
STACK_FILES = sorted((PROJECT / "stacks").glob("Pulumi.*.yaml"))
FOLDERS = Folders(
    Path("/env"), engine="python", stores={}, data=Path("/data"), models=Path("/models"), s3=Path("/s3")
)


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
    return str(install({"variant": "cpu", "model": {"kind": "generated", "name": "tiny"}})["python"])


def ask(python: str, command: str, cases: Sequence[tuple[str, list[str]]] = ()) -> Any:
    """Return what the real parsers answer; see scripts/node_parsers.py."""
    asked = [python, str(PROJECT / "scripts" / "node_parsers.py"), command]
    done = subprocess.run(
        asked, input=json.dumps(cases), capture_output=True, text=True, timeout=300, check=True
    )
    return json.loads(done.stdout)


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
    answers = ask(python, "check", [*lines.values(), *WRONG])  # one import of vLLM takes most of the time
    complaints = dict(zip(lines, answers, strict=False))
    assert {name: said for name, said in complaints.items() if said} == {}
    assert [case for case, said in zip(WRONG, answers[len(lines) :], strict=True) if said is None] == []


def test_the_flag_list_is_that_of_the_locked_versions(python: str) -> None:
    known = json.loads((PROJECT / "planning" / "flags" / "known.json").read_text(encoding="utf-8"))
    assert known == ask(python, "list"), "run scripts/generate-flags"
