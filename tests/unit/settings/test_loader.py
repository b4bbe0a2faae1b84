"""Reading stack files: what is accepted, that both ways of reading agree, that no other error escapes."""

import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from pydantic import JsonValue

from settings import Settings
from settings.loader import ENCRYPTED, from_config, read_stack_file
from settings.models import HeadSettings
from settings.problems import Problem, StackFileError
from settings.reference import COMMAND, files, reference
from settings.schema import stack_file_schema
from settings.targets import LocalTarget
from tests.unit.plan_examples import ENCRYPTED_TOKEN

SMALLEST: dict[str, Any] = {
    "target": {"kind": "local"},
    "pattern": "agg",
    "model": {"name": "tiny", "source": "generated"},
    "roles": {"aggregated": {}},
}
TOKEN = "hf_" + "x" * 34


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("stacks") / "Pulumi.test.yaml"


def write(file: Path, config: Mapping[str, Any], **beside: Any) -> Path:
    """Write a stack file; JSON is YAML in which all text is quoted."""
    namespaced = {key if ":" in key else f"dynamo:{key}": value for key, value in config.items()}
    file.write_text(json.dumps({"config": namespaced} | beside, ensure_ascii=False), encoding="utf-8")
    return file


def as_pulumi_has_it(config: Mapping[str, JsonValue]) -> dict[str, str]:
    """Return a configuration as Pulumi hands it to the program: text, or JSON for structures."""
    return {
        f"dynamo:{key}": value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        for key, value in config.items()
    }


def test_what_a_stack_file_leaves_out_has_its_default(file: Path) -> None:
    settings = read_stack_file(write(file, SMALLEST))
    assert settings.target == LocalTarget(kind="local", nodes=None, gpus_per_node=1, device="cpu")
    assert settings.roles.aggregated is not None
    assert (settings.roles.aggregated.replicas, settings.roles.frontend.replicas) == (1, 1)
    assert (settings.head, settings.engine) == (HeadSettings(placement="colocated", node=1), None)


def test_the_short_form_of_head_is_its_placement(file: Path) -> None:
    short = read_stack_file(write(file, SMALLEST | {"head": "dedicated"}))
    long = read_stack_file(write(file, SMALLEST | {"head": {"placement": "dedicated"}}))
    assert short == long


def test_keys_of_pulumi_and_of_providers_are_left_alone(file: Path) -> None:
    theirs = {"aws:region": "us-east-1", "pulumi:tags": {"a": None}}
    written = write(file, SMALLEST | theirs, encryptionsalt="v1:x", environment=["prod"])
    assert read_stack_file(written) == read_stack_file(write(file, SMALLEST))


def test_keys_are_read_without_the_prefix_too(file: Path) -> None:
    file.write_text(json.dumps({"config": SMALLEST}))
    assert read_stack_file(file) == read_stack_file(write(file, SMALLEST))


def test_shell_metacharacters_in_values_are_data(file: Path) -> None:
    text = "$(reboot); `id` 'x' \"y\" | & > ../ ünï"
    model = {"name": text, "source": "path", "path": "/models/a b"}
    role = {"flags": {"chat-template": text}, "env": {"A": text}}
    settings = read_stack_file(write(file, SMALLEST | {"model": model, "roles": {"aggregated": role}}))
    assert settings.roles.aggregated is not None
    assert settings.roles.aggregated.flags["chat-template"] == text
    assert (settings.model.name, settings.roles.aggregated.env["A"]) == (text, text)


def test_a_folder_in_s3_is_the_same_with_and_without_a_slash_at_its_end(file: Path) -> None:
    model = {"name": "llama", "source": "s3", "uri": "s3://my.models/llama-3.3/instruct"}
    plain = read_stack_file(write(file, SMALLEST | {"model": model}))
    slash = read_stack_file(write(file, SMALLEST | {"model": model | {"uri": f"{model['uri']}/"}}))
    assert plain == slash
    assert plain.model.uri == model["uri"]


def test_a_token_is_read_from_the_configuration_and_shown_nowhere(file: Path) -> None:
    config = as_pulumi_has_it(SMALLEST) | {"dynamo:huggingFaceToken": TOKEN}
    settings = from_config(config, ["dynamo:huggingFaceToken"])
    assert settings.hugging_face_token is not None
    assert settings.hugging_face_token.get_secret_value() == TOKEN
    assert TOKEN not in f"{settings!r} {settings} {settings.model_dump_json()}"


def test_an_encrypted_token_in_the_file_is_known_to_be_there(file: Path) -> None:
    settings = read_stack_file(write(file, SMALLEST | {"huggingFaceToken": ENCRYPTED_TOKEN}))
    assert settings.hugging_face_token == ENCRYPTED


@pytest.mark.parametrize(
    ("secret_keys", "key"),
    [
        pytest.param([], "huggingFaceToken", id="token that was not encrypted"),
        pytest.param(["dynamo:huggingFaceToken", "dynamo:roles"], "roles", id="secret in a structure"),
        pytest.param(["dynamo:huggingFaceToken", "dynamo:pattern"], "pattern", id="encrypted word"),
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_shown(secret_keys: list[str], key: str) -> None:
    secret = "a-planted-secret"
    roles = {"aggregated": {"env": {"A": secret}, "replicas": secret}}
    config = as_pulumi_has_it(SMALLEST | ({"roles": roles} if key == "roles" else {}))
    with pytest.raises(StackFileError) as caught:
        from_config(config | {"dynamo:huggingFaceToken": secret}, secret_keys)
    assert [problem.key for problem in caught.value.problems] == [key]
    assert "`scripts/secret STACK huggingFaceToken`" in str(caught.value)
    assert secret not in str(caught.value)


PULUMI_READS = {
    # as Pulumi 3.259 hands `{x: TEXT}` to the program
    "1.0": "1",
    "1e3": "1000",
    "0.00001": "0.00001",
    "-0.0": "0",
    "+5": "5",
    ".5": "0.5",
    "yes": '"yes"',
    "1:30": '"1:30"',
    "True": "true",
    "[1, 2.5]": "[1,2.5]",
    "9007199254740991": "9007199254740991",
    '"600"': '"600"',
}


@pytest.mark.parametrize(("text", "seen"), PULUMI_READS.items())
def test_a_value_means_to_us_what_it_means_to_pulumi(file: Path, text: str, seen: str) -> None:
    write(file, SMALLEST)
    document = file.read_text().replace('"aggregated": {}', f'"aggregated": {{"flags": {{x: {text}}}}}')
    file.write_text(document)
    config = as_pulumi_has_it(SMALLEST) | {"dynamo:roles": f'{{"aggregated":{{"flags":{{"x":{seen}}}}}}}'}
    ours, theirs = read_stack_file(file), from_config(config, [])
    assert ours == theirs
    assert ours.model_dump_json() == theirs.model_dump_json()


LETTERS = st.text(st.characters(exclude_categories=["C", "Zl", "Zp"]), max_size=20)
NUMBERS = st.integers(-(2**53), 2**53) | st.floats(-1e6, 1e6, allow_nan=False)
FLAG_VALUES = st.recursive(
    st.booleans() | NUMBERS | LETTERS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.from_regex(r"\A[a-z]{1,5}\Z"), inner, max_size=3)
    ),
    max_leaves=5,
)
COUNTS = st.integers(1, 1024)
ROLE = st.fixed_dictionaries(
    {},
    optional={
        "replicas": COUNTS,
        "parallelism": st.fixed_dictionaries({}, optional={"tensor": COUNTS, "pipeline": COUNTS}),
        "flags": st.dictionaries(st.from_regex(r"\A[a-z0-9]{1,5}(-[a-z]{1,5})?\Z"), FLAG_VALUES, max_size=3),
        "env": st.dictionaries(st.from_regex(r"\A[A-Z_][A-Z0-9_]{0,5}\Z"), LETTERS, max_size=3),
    },
)
AGG = st.fixed_dictionaries({"pattern": st.just("agg"), "roles": st.fixed_dictionaries({"aggregated": ROLE})})
DISAGG = st.fixed_dictionaries(
    {
        "pattern": st.just("disagg"),
        "roles": st.fixed_dictionaries(
            {"prefill": ROLE, "decode": ROLE, "frontend": st.just({"replicas": 2})}
        ),
    }
)
OTHERS = st.fixed_dictionaries(
    {"target": st.just({"kind": "local"}) | st.just({"kind": "aws", "instanceType": "p5.48xlarge"})},
    optional={
        "engine": st.sampled_from(["vllm", "mocker"]),
        "head": st.sampled_from(["colocated", "dedicated", {"node": 1}]),
        "rollout": st.fixed_dictionaries({"drainSeconds": COUNTS}),
        "proofSeconds": COUNTS,
    },
)


@given(st.tuples(AGG | DISAGG, OTHERS))
def test_a_stack_file_and_what_pulumi_makes_of_it_give_the_same(
    file: Path, parts: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    config = SMALLEST | parts[0] | parts[1]
    assert read_stack_file(write(file, config)) == from_config(as_pulumi_has_it(config), [])


KEYS = st.sampled_from(
    ["target", "kind", "pattern", "model", "name", "path", "roles", "prefill", "decode", "aggregated", "head",
     "node", "flags", "env", "secure", "huggingFaceToken", "config", "dynamo:roles", "dynamo:pattern"]
) | st.text(max_size=5)  # fmt: skip
WORDS = st.sampled_from(["local", "aws", "agg", "disagg", "hub", "-x", "{", "[1]", "0x1", "hf_x", "~"])
TREES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5),
    max_leaves=20,
)


def settings_or_problems(read: Callable[[], Settings]) -> None:
    """Read; anything but Settings and a StackFileError in our own words fails."""
    problems: tuple[Problem, ...] = ()
    try:
        read()
    except StackFileError as error:
        problems = error.problems
    for problem in problems:
        assert problem.key.isprintable()
        assert problem.message.isprintable()
        assert re.search(r"Input should|validation|pydantic", problem.message) is None


@given(st.dictionaries(KEYS, TREES, max_size=6))
def test_any_tree_gives_settings_or_problems(file: Path, tree: dict[str, Any]) -> None:
    file.write_text(yaml.safe_dump({"config": {**SMALLEST, **tree}}, allow_unicode=True), encoding="utf-8")
    settings_or_problems(lambda: read_stack_file(file))
    file.write_text(yaml.safe_dump(tree), encoding="utf-8")
    settings_or_problems(lambda: read_stack_file(file))


@given(st.binary() | st.text("config: {}[]\"'\\\n\t-#&*!|>%@`Ux0,?~", max_size=60).map(str.encode))
def test_any_bytes_give_settings_or_problems(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    settings_or_problems(lambda: read_stack_file(file))


@given(
    st.dictionaries(KEYS.map("dynamo:{}".format), st.text() | TREES.map(json.dumps) | WORDS, max_size=6),
    st.lists(KEYS.map("dynamo:{}".format), max_size=2),
)
def test_any_configuration_gives_settings_or_problems(config: dict[str, str], secret_keys: list[str]) -> None:
    settings_or_problems(lambda: from_config(as_pulumi_has_it(SMALLEST) | config, secret_keys))


@pytest.mark.parametrize("path", files(), ids=lambda path: path.name)
def test_generated_files_are_those_of_the_models(path: Path) -> None:
    assert path.read_text() == files()[path], f"run `{COMMAND}`"


def test_the_schema_tells_editors_the_same_as_reading(file: Path) -> None:
    Draft202012Validator.check_schema(stack_file_schema())
    schema = Draft202012Validator(stack_file_schema())

    def accepts(**config: Any) -> bool:
        write(file, SMALLEST | {"aws:region": "us-east-1"} | config, encryptionsalt="v1:x")
        try:
            read_stack_file(file)
            read = True
        except StackFileError:
            read = False
        assert schema.is_valid(json.loads(file.read_text())) == read
        return read

    assert accepts()
    assert accepts(
        head="dedicated", huggingFaceToken={"secure": "v1:AAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAA"}
    )
    assert accepts(head={"node": 1}, target={"kind": "aws", "instanceType": "p5.48xlarge"})
    assert not accepts(enigne="vllm")
    assert not accepts(huggingFaceToken=TOKEN)
    assert not accepts(target={"kind": "local", "instanceType": "p5.48xlarge"})
    assert not accepts(rollout={"drainSeconds": 0})
    assert not accepts(pattern="aggg")


def test_the_example_of_the_reference_page_is_a_stack_file(file: Path) -> None:
    example = re.search(r"```yaml\n(.*?)```", reference(), re.DOTALL)
    assert example is not None
    file.write_text(example[1])
    assert read_stack_file(file).pattern == "agg"
