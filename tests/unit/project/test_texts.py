"""Text stays the text that the user wrote, from the stack file to the arguments of a process."""

import argparse
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nodectl.contract import codec
from nodectl.contract.manifest import Manifest, Service
from nodectl.contract.tokens import NAMES, fill, literal
from nodectl.services.argv import Folders, argv, filled
from planning import describe, manifests, plan
from planning.commands.flags import problems
from planning.rehearsal import rehearsal
from settings.loader import read_stack_file

FOLDERS = Folders(Path("/env"), engine="python", stores={}, data=Path("/d"), models=Path("/m"), s3=Path("/s"))

NUMBERS = ["1.10", "4.0", "12e5", "-1e-9", "-0.5", "8192", "0.90", "1E3", "+5", "5.", ".5"]
TEXTS = ["yes", "~x", "--x", "-1", "1:30", "2026-02-30", "a=b", "é", "=", "a #b", "${HOME}", "$(reboot)"]


def read(folder: Path, text: str, *, module: str = "vllm", served: str = "tiny") -> Any:
    """Return the plan of a stack file whose worker has the flag `code-revision`."""
    path = folder / "Pulumi.x.yaml"
    path.write_text(
        f"""\
config:
  dynamo:target: {{kind: local}}
  dynamo:pattern: agg
  dynamo:engine: {module}
  dynamo:model: {{source: generated, name: tiny, servedName: {json.dumps(served)}}}
  dynamo:roles:
    aggregated:
      flags: {text}
""",
        encoding="utf-8",
    )
    return read_stack_file(path)


def worker(settings: Any) -> Service:
    """Return the planned worker, as it comes out of the manifest's JSON."""
    planned = plan(settings)
    [(_, manifest), *_] = manifests(planned, {node.name: "127.0.0.1" for node in planned.nodes}).items()
    return codec.read(Manifest, codec.written(manifest), "a manifest").services["aggregated-0"]


def argument(service: Service, flag: str) -> str:
    """Return what argparse makes of a flag, beside all others."""
    parser = argparse.ArgumentParser(allow_abbrev=False)
    parser.add_argument(f"--{flag}")
    found: str = vars(parser.parse_known_args(argv(service, FOLDERS)[3:])[0])[flag.replace("-", "_")]
    return found


@pytest.mark.parametrize("text", [*NUMBERS, *map(json.dumps, [*NUMBERS, *TEXTS])])
def test_a_value_arrives_at_the_process_as_it_is_written(tmp_path: Path, text: str) -> None:
    written = json.loads(text) if text.startswith('"') else text
    settings = read(tmp_path, f"{{code-revision: {text}}}")
    assert argument(worker(settings), "code-revision") == written


def test_numbers_within_json_keep_their_kind(tmp_path: Path) -> None:
    """Transformers refuses a whole number for what it wants a float for."""
    service = worker(read(tmp_path, "{hf-overrides: {rope_scaling: {factor: 4.0, n: 4, t: '4.0', e: 1e6}}}"))
    overrides = json.loads(argument(service, "hf-overrides"))
    assert json.dumps(overrides) == '{"rope_scaling": {"factor": 4.0, "n": 4, "t": "4.0", "e": 1000000.0}}'


def test_the_plan_says_which_numbers_pulumi_would_write_otherwise(tmp_path: Path) -> None:
    flags = "{code-revision: 12e5, max-model-len: 8192, tokenizer-revision: '1.10'}"
    text = describe(plan(read(tmp_path, flags)))
    assert "flags.code-revision: 12e5 is passed on as written; put it in quotes" in text
    assert "as 1200000" in text
    nested = describe(plan(read(tmp_path, "{hf-overrides: {a: [{factor: 4.0, n: 4}]}}")))
    assert "flags.hf-overrides: 4.0 is passed on as written; write all of it as one text, in quotes" in nested
    assert nested.count("is passed on as written") == 1
    assert "8192 is" not in text
    assert "1.10 is" not in text


def test_a_rehearsal_keeps_texts(tmp_path: Path) -> None:
    rehearsed = rehearsal(read(tmp_path, "{block-size: 16, speedup-ratio: 4.0}", module="mocker"))
    assert rehearsed["dynamo:roles"]["aggregated"]["flags"] == {"block-size": 16, "speedup-ratio": "4.0"}


@pytest.mark.parametrize(
    ("flag", "text", "arrives"),
    [
        ("max-model-len", "8e3", "8000"),
        ("max-model-len", "8192.0", "8192"),
        ("gpu-memory-utilization", "0.90", "0.90"),
        ("code-revision", "4.0", "4.0"),
    ],
)
def test_what_takes_a_whole_number_gets_one_however_it_is_written(
    flag: str, text: str, arrives: str, tmp_path: Path
) -> None:
    assert argument(worker(read(tmp_path, f"{{{flag}: {text}}}")), flag) == arrives


def test_a_rehearsal_of_numbers_in_odd_notations_is_a_stack_file(tmp_path: Path) -> None:
    settings = read(tmp_path, "{}")
    path = tmp_path / "Pulumi.x.yaml"
    frontend = "{replicas: 1.0, flags: {router-temperature: 0.50}}"
    roles = f"    frontend: {frontend}\n    aggregated:\n      replicas: 2.0\n"
    path.write_text(path.read_text().replace("    aggregated:\n", roles))
    document = {"config": rehearsal(read_stack_file(path))}
    path.write_text(yaml.safe_dump(document))
    again = read_stack_file(path)
    assert again.roles.aggregated is not None
    assert (again.roles.aggregated.replicas, settings.pattern) == (2, again.pattern)


@pytest.mark.parametrize("name", [f"${{{token}}}/x" for token in NAMES] + ["$${data}", "${HOME}"])
@pytest.mark.parametrize(("module", "flag"), [("vllm", "served-model-name"), ("mocker", "model-name")])
def test_names_are_not_filled(tmp_path: Path, name: str, module: str, flag: str) -> None:
    assert argument(worker(read(tmp_path, "{}", module=module, served=name)), flag) == name


@given(st.lists(st.sampled_from(["$", "${data}", "${s3}", "${", "}", "x"])).map("".join))
def test_a_literal_is_what_it_was_after_filling(text: str) -> None:
    assert fill(literal(text), dict.fromkeys(NAMES, "/folder")) == text


def test_tokens_are_filled_once_and_in_values_only() -> None:
    folders = FOLDERS.__class__(**{**vars(FOLDERS), "data": Path("/a/${models}")})
    assert filled({"${data}": ["${data}"]}, folders) == {"${data}": ["/a/${models}"]}


def test_a_value_that_argparse_drops_is_refused() -> None:
    [problem] = problems("dynamo.vllm", {"code-revision": "--"})
    assert "argparse drops it" in problem
