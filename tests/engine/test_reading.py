"""Stack files are read as Pulumi reads them: generated files, against the CLI and a program that it runs."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from settings.configuration import same, value_of
from settings.problems import StackFileError
from settings.yaml_values import PlainValueError, configured, load
from tests.engine.pulumi_cli import PulumiProject

PROGRAM = """
import json
from pulumi.runtime.config import get_config_env
with open("seen.json", "w") as file:
    json.dump(dict(get_config_env()), file)
"""

NUMBERS = st.text("0123456789+-._eExXob", min_size=1, max_size=6)
WORDS = st.sampled_from(
    [
        *("~", "null", "True", "yes", "off", "1:30", "<<", ".inf", ".5", "-.5e3", "012", "0x1f", "1_000"),
        *("2026-11-23", "2026-1-2T3:4:5Z", "2026-02-30", "1e400", "=", "v1", "12e5", "4.0", "-1e-9"),
        *(str(2**63 - 1), str(2**63)),
    ]
)
TEXTS = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=8)
PLAIN = TEXTS.filter(lambda text: not text.rstrip().endswith(":"))
"""Without `[a:]`: a list of a mapping to PyYAML, one of text to Pulumi's parser; no key takes either."""

SCALARS = NUMBERS | WORDS | TEXTS.map(lambda text: json.dumps(text, ensure_ascii=False)) | PLAIN
KEYS = st.sampled_from(["a", "b", "c", "'d'", "<<", '"1"', "secure", "A-b_c"])


def structures(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return flow lists and mappings, some with an anchor, and what may stand for one."""
    lists = st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]")
    maps = st.dictionaries(KEYS, inner, max_size=4).map(
        lambda items: "{" + ", ".join(f"{key}: {value}" for key, value in items.items()) + "}"
    )
    merged = st.tuples(maps, maps).map(lambda two: f"[&x {two[0]}, {{<<: *x, e: {two[1]}}}, *x]")
    return lists | maps | merged


VALUES = st.recursive(SCALARS, structures, max_leaves=5)


def accepted(text: str) -> Any:
    """Return what we make of a value of a key at the top; raise where we do not take it."""
    document = load(f"dynamo:a: {text}\n")
    if not isinstance(document, dict) or list(document) != ["dynamo:a"]:
        raise PlainValueError("text that ends the line")
    value = value_of(document["dynamo:a"])
    if "\n" in json.dumps(value, ensure_ascii=False):
        raise PlainValueError("text of several lines")
    return value


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> PulumiProject:
    made = PulumiProject.make(tmp_path_factory.mktemp("reading"), PROGRAM)
    text = (made.folder / "Pulumi.yaml").read_text().replace('"small"', '"dynamo"')
    (made.folder / "Pulumi.yaml").write_text(text)
    made.init("s")
    return made


def config_of(project: PulumiProject) -> Mapping[str, str]:
    """Return what the CLI makes of the stack file."""
    printed = project.run("config", "--json", "--stack", "s").printed
    found = json.loads(printed[printed.index("{") :])  # after what it warns of, such as a key without a value
    return {key: entry["value"] for key, entry in found.items() if "value" in entry}  # secrets have none


def write(project: PulumiProject, values: list[str]) -> dict[str, Any]:
    """Write a stack file of those values that we take; return what we make of each."""
    ours: dict[str, Any] = {}
    lines = ["config:"]
    for text in values:
        try:
            value = accepted(text)
        except (StackFileError, PlainValueError):
            continue
        ours[f"dynamo:k{len(ours)}"] = value
        lines.append(f"  dynamo:k{len(ours) - 1}: {text}")
    (project.folder / "Pulumi.s.yaml").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return ours


def differing(ours: Mapping[str, Any], theirs: Mapping[str, str]) -> dict[str, tuple[Any, str | None]]:
    """Return the values that mean one thing to us and another to Pulumi; secrets are Pulumi's alone."""
    return {
        key: (value, theirs.get(key))
        for key, value in ours.items()
        if not _is_secret(value) and not (key in theirs and same(value, configured(theirs[key])))
    }


def _is_secret(value: Any) -> bool:
    return '"secure": "' in json.dumps(value)


@settings(max_examples=12, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(st.lists(VALUES, min_size=8, max_size=24))
def test_what_we_read_of_a_stack_file_pulumi_reads_alike(project: PulumiProject, values: list[str]) -> None:
    ours = write(project, values)
    assert differing(ours, config_of(project)) == {}


def test_the_program_sees_what_plan_reads_before_and_after_a_key_is_set(project: PulumiProject) -> None:
    given_ = [
        "40",
        "true",
        "4.0",
        "{a: 1.10, b: [~, yes, {c: 4.0}]}",
        "[&x {a: 1}, {<<: *x, b: 2}]",
        "agg",
        '"7"',
    ]
    ours = write(project, given_)
    for _ in range(2):
        project.preview("s")
        seen = json.loads((project.folder / "seen.json").read_text())
        assert differing(ours, seen) == {}
        document = load((project.folder / "Pulumi.s.yaml").read_text())
        assert isinstance(document, dict)
        config = document["config"]
        assert isinstance(config, dict)
        assert same(ours, {key: value_of(config[key]) for key in ours})
        project.run("config", "set", "dynamo:other", "3", "--stack", "s")
