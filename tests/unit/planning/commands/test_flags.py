"""Wrong flags are told by name, from the list that the real parsers gave."""

import pytest

from nodectl.contract.manifest import FlagValue
from planning.commands import flags, reserved
from settings.numbers import parse


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("enforce-eagr", True, "dynamo.vllm has no such flag; did you mean `enforce-eager`"),
        ("max_model_len", 8192, "dynamo.vllm has no such flag; did you mean `max-model-len`"),
        ("is-prefill-wrkr", True, "dynamo.vllm has no such flag"),
        ("enforce-eager", "yes", '`enforce-eager: "yes"`: takes no value; use true'),
        ("max-model-len", True, "takes a value, not a switch"),
        ("max-model-len", False, "there is no --no-max-model-len; leave it out"),
        ("max-model-len", [1, 2], "takes one value, not a list"),
        ("allowed-media-domains", ["a", "--headless"], "none of which begins like a flag"),
        ("allowed-media-domains", ["a", "-tp=2"], "none of which begins like a flag"),
        ("allowed-media-domains", [], "expected values"),
        ("dtype", "float33", "expected auto or bfloat16 or float or float16"),
    ],
)
def test_a_wrong_flag_is_told_with_its_remedy(name: str, value: FlagValue, told: str) -> None:
    (problem,) = flags.problems("dynamo.vllm", {name: value})
    assert problem.startswith(f"`{name}")
    assert told in problem


@pytest.mark.parametrize(
    ("module", "right"),
    [
        ("dynamo.frontend", {"router-mode": "kv", "http-port": 8000, "router-kv-events": False}),
        ("dynamo.mocker", {"speedup-ratio": 10, "enable-prefix-caching": False, "block-size": 16}),
        (
            "dynamo.vllm",
            {"enforce-eager": False, "served-model-name": ["a", "b"], "compilation-config": {"mode": 3}},
        ),
    ],
)
def test_right_flags_of_every_kind_pass(module: str, right: dict[str, FlagValue]) -> None:
    assert flags.problems(module, right) == []


@pytest.mark.parametrize("module", sorted(reserved.FLAGS))
def test_every_flag_that_planning_owns_exists(module: str) -> None:
    of_older_releases = {"is-prefill-worker", "is-decode-worker"}
    of_one_module_alone = {"ais-model-path", "ais-perf-model"}
    names = reserved.FLAGS[module].keys() - of_older_releases - of_one_module_alone
    assert names - flags.known(module).keys() == set()


@pytest.mark.parametrize(
    ("written", "as_number", "as_text"),
    [
        ("16", True, True),
        ("16.0", True, False),
        ("1e2", True, False),
        ("-1", False, False),
        ("1", False, False),
    ],
)
def test_a_number_is_judged_as_it_reaches_the_command_line(
    written: str, as_number: bool, as_text: bool
) -> None:
    assert (flags.problems("dynamo.mocker", {"block-size": parse(written)}) == []) is as_number
    assert (flags.problems("dynamo.mocker", {"block-size": written}) == []) is as_text


@pytest.mark.parametrize("module", sorted(reserved.FLAGS))
def test_a_value_of_the_wrong_form_is_told_with_what_was_expected(module: str) -> None:
    for name, flag in flags.known(module).items():
        if flag["takes"] == "value" and {"accepts", "choices"} & flag.keys():
            [problem] = flags.problems(module, {name: "certainly not"})
            assert "expected " in problem
        for edge, beyond in (("least", -1), ("most", 1), ("above", 0), ("below", 0)):
            if edge in flag and flag["takes"] == "value":
                [problem] = flags.problems(module, {name: flag[edge] + beyond})
                assert str(flag[edge]) in problem
