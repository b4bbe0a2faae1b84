"""Wrong flags are told by name, from the list that the real parsers gave."""

import pytest

from nodectl.manifest import FlagValue
from planning import flags, owned


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


@pytest.mark.parametrize("module", sorted(owned.FLAGS))
def test_every_flag_that_planning_owns_exists(module: str) -> None:
    of_older_releases = {"is-prefill-worker", "is-decode-worker"}
    names = owned.FLAGS[module].keys() - of_older_releases
    assert [told for told in flags.problems(module, dict.fromkeys(names, "x")) if "no such" in told] == []
