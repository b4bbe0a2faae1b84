"""The YAML of a stack file means here what it means to Pulumi, or is refused: kinds, each with its spellings.

`tests/engine/test_reading.py` holds the same reader against Pulumi itself.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from settings.loader import MAX_CONFIG_BYTES, from_config, read_stack_file
from settings.numbers import plain, text_only
from settings.problems import StackFileError
from settings.yaml_values import load

READ = {
    "truth values": ("[true, True, FALSE]", [True, True, False]),
    "words of YAML 1.1": ("[yes, No, on, OFF, y, n]", ["yes", "No", "on", "OFF", "y", "n"]),
    "nulls": ("[~, null, NULL, ]", [None, None, None]),
    "sexagesimal": ("1:30", "1:30"),
    "what only looks like a date": ("[2026-13-01, 2026-02-30, 2026-11-23-x]",
                                    ["2026-13-01", "2026-02-30", "2026-11-23-x"]),
    "versions and hashes": ("[1.2.3, 12ab, e12, 0xfg, v1]", ["1.2.3", "12ab", "e12", "0xfg", "v1"]),
    "an alias": ("[&x {a: 1}, *x]", [{"a": 1}, {"a": 1}]),
    "an anchor given anew": ("[&x 1, &x 2, *x]", [1, 2, 2]),
    "a merge": ("{<<: {a: 1, b: 1}, b: 2}", {"a": 1, "b": 2}),
    "a merge after what it gives way to": ("{b: 2, <<: {a: 1, b: 1}}", {"a": 1, "b": 2}),
    "a merge of an alias": ("[&x {a: 1}, {<<: *x, b: 2}]", [{"a": 1}, {"a": 1, "b": 2}]),
    "a merge of several": ("{<<: [{a: 1}, {a: 2, c: 3}]}", {"a": 1, "c": 3}),
    "a merge within a merge": ("{<<: {a: 1, <<: {a: 2, b: 3}}}", {"a": 1, "b": 3}),
    "tabs between tokens": ("{a:\t1,\tb: 2}\t# comment", {"a": 1, "b": 2}),
    "a word that merges elsewhere": ("<<", "<<"),
}  # fmt: skip

REFUSED = {
    "odd numbers": [
        "0x1f",
        "0o17",
        "0o-2",
        "0b11",
        "0b+1",
        "017",
        "08",
        "1_000",
        "1_0.5",
        "-0x1",
        "+.inf",
        ".nan",
        "00",
    ],
    "dates": ["2026-11-23", "2026-1-2", "2026-11-23T01:02:03Z", "2026-11-23 1:2:3.5"],
    "numbers that Pulumi rounds": [str(2**63), str(-(2**63) - 1), "9" * 5000, "1e400"],
    "aliases of nothing": ["*x", "[*x, &x 1]"],
    "aliases without an end": ["&x [*x]", "&x {a: {b: *x}}", "&x {<<: *x}"],
    "merges of what is no mapping": ["{<<: 1}", "{<<: }", "{<<: [1]}", "[&x [{a: 1}], {<<: *x}]"],
    "repeated keys": ["{a: 1, 'a': 2}", "{<<: {a: 1}, <<: {b: 2}}"],
    "a merge in quotes, which Pulumi merges": ["{'<<': {a: 1}}"],
    "keys that are not text": ["{1: a}", "{~: a}", "{true: a}", "{[a]: b}", "{1.5: a}"],
    "tags": ["!!str 1", "!x a", "! a"],
}

NOT_READ = {
    "a newer YAML": "%YAML 1.2\n---\nconfig: {}\n",
    "directives": "%FOO\n---\nconfig: {}\n",
    "two documents": "config: {}\n---\nconfig: {}\n",
    "tabs as indentation": "config:\n\ta: 1\n",
    "much of little": "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
    + "".join(f"{b}: &{b} [{','.join(10 * [f'*{a}'])}]\n" for a, b in ("ab", "bc", "cd", "de", "ef")),
}


@pytest.mark.parametrize(("text", "value"), READ.values(), ids=READ.keys())
def test_a_value_is_read_as_pulumi_reads_it(text: str, value: object) -> None:
    assert load(f"a: {text}\n") == {"a": value}


@pytest.mark.parametrize(
    ("kind", "text"), [(kind, text) for kind, texts in REFUSED.items() for text in texts]
)
def test_what_means_something_else_to_pulumi_or_to_a_reader_is_refused(kind: str, text: str) -> None:
    with pytest.raises(StackFileError) as caught:
        load(f"a: {text}\n")
    [problem] = caught.value.problems
    assert problem.key.startswith("line 1, column "), kind
    assert problem.message.isprintable()


@pytest.mark.parametrize("text", NOT_READ.values(), ids=NOT_READ.keys())
def test_a_file_that_pulumi_reads_otherwise_is_refused(text: str) -> None:
    with pytest.raises(StackFileError, match=r"remove|not YAML"):
        load(text)


def test_a_byte_order_mark_and_directives_of_yaml_1_1_change_nothing() -> None:
    assert load("\ufeff%YAML 1.1\n---\na: 1\n...\n") == {"a": 1}


@pytest.mark.parametrize("text", ["1.10", "4.0", "12e5", "-1e-9", "+5", ".5", "5.", "1E3"])
def test_a_number_knows_how_it_was_written(text: str) -> None:
    read = load(f"[{text}]")
    assert isinstance(read, list)
    [number] = read
    assert number == float(text)
    assert (str(number), text_only(number)) == (text, text)
    assert json.dumps(plain([number])) == json.dumps([float(text) if set(text) & set(".eE") else int(text)])


SMALLEST: dict[str, Any] = {
    "target": {"kind": "local"},
    "pattern": "agg",
    "model": {"name": "tiny", "source": "generated"},
    "roles": {"aggregated": {}},
}


def write(folder: Path, **config: Any) -> Path:
    """Write a stack file whose values, where they are text, are YAML."""
    lines = [
        f"  dynamo:{key}: {value if isinstance(value, str) else json.dumps(value)}"
        for key, value in (SMALLEST | config).items()
    ]
    path = folder / "Pulumi.x.yaml"
    path.write_text("\n".join(["config:", *lines, ""]), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "spellings",
    [
        pytest.param(("proofSeconds", "40", '"40"', "4e1"), id="number"),
        pytest.param(("head", "dedicated", '"dedicated"'), id="word"),
        pytest.param(("cost", "{maxHourly: 5}", "'{\"maxHourly\":5}'"), id="structure"),
    ],
)
def test_a_value_at_the_top_means_the_same_with_and_without_quotes(
    tmp_path: Path, spellings: tuple[str, ...]
) -> None:
    key, *texts = spellings
    assert len({read_stack_file(write(tmp_path, **{key: text})).model_dump_json() for text in texts}) == 1


def test_merge_keys_are_read_within_values(tmp_path: Path) -> None:
    roles = "{prefill: &w {replicas: 2, flags: {block-size: 32}}, decode: {<<: *w, replicas: 3}}"
    read = read_stack_file(write(tmp_path, pattern="disagg", roles=roles)).roles
    assert read.decode is not None
    assert (read.decode.replicas, read.decode.flags) == (3, {"block-size": 32})


def test_the_program_has_numbers_as_the_file_has_them_and_all_else_from_pulumi(tmp_path: Path) -> None:
    path = write(tmp_path, roles="{aggregated: {flags: {a: 1.10, b: {c: 4.0}}}}", cost="{maxHourly: 12.10}")
    roles = {"aggregated": {"flags": {"a": 1.1, "b": {"c": 4}}}}
    config = {f"dynamo:{key}": json.dumps(value) for key, value in SMALLEST.items() if key != "pattern"}
    config |= {"dynamo:pattern": "agg", "dynamo:roles": json.dumps(roles)}
    config |= {"dynamo:cost": '{"maxHourly":13}', "dynamo:proofSeconds": "7"}
    settings = from_config(config, [], path)
    assert settings.roles.aggregated is not None
    flags = settings.roles.aggregated.flags
    assert (str(flags["a"]), str(flags["b"]["c"])) == ("1.10", "4.0")  # type: ignore[call-overload, index]
    assert (settings.cost.max_hourly, settings.proof_seconds) == (13, 7)


def test_the_program_refuses_a_file_that_plan_refuses(tmp_path: Path) -> None:
    """Pulumi would hand it 8 for 010, or the first of two documents."""
    path = write(tmp_path, proofSeconds="010")
    with pytest.raises(StackFileError, match="`010`"):
        from_config({"dynamo:proofSeconds": "8"}, [], path)


def test_more_than_an_environment_variable_holds_is_refused(tmp_path: Path) -> None:
    """Pulumi hands the configuration to the program in one, and Linux starts none with more."""
    big = "[" + ",".join(["&x " + json.dumps("y" * 9000), *(20 * ["*x"])]) + "]"
    with pytest.raises(StackFileError, match=f"expected at most {MAX_CONFIG_BYTES}"):
        read_stack_file(write(tmp_path, roles=f"{{aggregated: {{flags: {{x: {big}}}}}}}"))
