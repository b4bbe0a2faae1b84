"""Flags and environment of a role: those that the program sets are refused by name, in every spelling."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from planning import plan
from planning.commands import environment, flags, reserved
from settings import Settings
from settings.problems import Problem, StackFileError
from tests.unit.plan_examples import real, settings

ROLES = {"dynamo.frontend": "frontend", "dynamo.mocker": "aggregated", "dynamo.vllm": "aggregated"}
SAMPLES = {
    "integer": 1,
    "number": 0.5,
    "size": "8k",
    "mapping": {},
    "list": [1],
    "None": "None",
    "auto": "auto",
}


def given(module: str, **role: Any) -> Settings:
    """Return a stack file whose only role of `module` passes something on."""
    roles: dict[str, Any] = {"aggregated": {}} | {ROLES[module]: role}
    engine = "vllm" if module == "dynamo.vllm" else "mocker"
    return settings("agg", roles, engine=engine)


def problems(file: Settings) -> list[Problem]:
    """Return all that plan says against a stack file."""
    try:
        plan(file)
    except StackFileError as error:
        return list(error.problems)
    return []


def value_of(flag: flags.Flag) -> Any:
    """Return a value that a flag would take."""
    if flag["takes"] == "nothing":
        return True
    return flag["choices"][0] if "choices" in flag else SAMPLES[flag.get("accepts", ["integer"])[0]]


def owned_flags() -> Iterator[tuple[str, str]]:
    for module, reasons in reserved.FLAGS.items():
        known = flags.known(module)
        routing = [name for name, flag in known.items() if "routes" in flag and module != "dynamo.frontend"]
        yield from ((module, name) for name in [*reasons, *routing] if name in known)


@pytest.mark.parametrize(("module", "name"), sorted(set(owned_flags())))
def test_what_planning_owns_is_refused_in_every_spelling(module: str, name: str) -> None:
    flag = flags.known(module)[name]
    role, reason = ROLES[module], reserved.FLAGS[module].get(name)
    spellings = {each: value_of(flag) for each in flags.spellings(module, name)}
    if flag.get("off"):
        spellings |= dict.fromkeys(list(spellings), False) | {f"no-{each}": True for each in spellings}
    for spelling, value in spellings.items():
        [problem] = problems(given(module, flags={spelling: value}))
        assert problem.key == f"roles.{role}.flags.{spelling}"
        assert reason is None or problem.message == reason
    for other in (f"--{name}", name.replace("-", "_")):
        [problem] = problems(given(module, flags={other: value_of(flag)}))
        assert reason is None or problem.message == reason
    if "env" in flag:
        for variable in (flag["env"], flag["env"].lower()):
            [problem] = problems(given(module, env={variable: "1"}))
            assert problem.key == f"roles.{role}.env.{variable}"


RELIED_ON = re.compile(
    r".*_(PORTS?|HOST|HOSTNAME|IP|ADDR|ADDRESS|ADDRESSES|PLANE|BACKEND|CONNECTOR|NAMESPACE|COMPONENT)(_.*)?"
    r"|.*TLS.*|.*_AUTH_.*|.*HEALTH.*|.*DISCOVERY.*|HF_.*|.*HUB.*|.*_CACHE_(HOME|PATH|DIRECTORY)"
    r"|(ETCD|NATS)_.*|.*ZMQ_BROKER.*|.*SIDE_CHANNEL.*|VLLM_(DP|RAY)_.*|DYN_HTTP_SVC_.*_PATH|DYN_SYSTEM_.*"
)
"""Names that may have to do with what the program relies on."""

NO_NAMES = {"HF_HUB_OFFLINENGC_API_KEYNGC_CLI_API_KEY", "NATS_ERRORS_TOTAL1", "NATS_ERRORS_TOTAL17"}
"""Texts in the library that are no names: two texts behind one another, a symbol."""


def test_every_name_that_dynamo_knows_of_what_is_relied_on_was_decided_upon() -> None:
    known = {name for name in flags.names() if RELIED_ON.fullmatch(name)}
    assert len(known) > 100
    by_flag = {variable for module in reserved.FLAGS for variable in flags.variables(module)}
    decided = {name for name in known if reserved.refused(name)} | reserved.FREE.keys() | by_flag
    # where the next text in the library begins with a capital, a name is listed with and without that
    seen = {near for name in decided for near in (name, name[:-1])} | {n for n in known if n[:-1] in decided}
    assert known - seen - NO_NAMES == set()


@pytest.mark.parametrize("name", sorted(reserved.FREE))
def test_what_may_be_set_all_the_same_is_planned(name: str) -> None:
    value = "true" if name.endswith("_ENABLED") else "1"
    assert problems(given("dynamo.vllm", env={name: value})) == []
    assert problems(given("dynamo.frontend", env={name: value})) == []


@pytest.mark.parametrize(
    "name", sorted({*environment.LEAST, *environment.WORDS, "DYN_ROUTER_MODEL_CARD_WAIT_SECS"})
)
def test_a_value_that_would_end_a_process_or_be_passed_over_is_refused(name: str) -> None:
    for module in ROLES:
        [problem] = problems(given(module, env={name: "soon"}))
        assert problem.key.endswith(f".env.{name}")
        assert problem.value == '"soon"'
        assert "expected" in problem.message
        if least := environment.LEAST.get(name):
            assert problems(given(module, env={name: str(least - 1)}))
            assert problems(given(module, env={name: str(least)})) == []
        if most := environment.MOST.get(name):
            assert problems(given(module, env={name: str(most + 1)}))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("DYN_REQUEST_PLANE", "planning decides it"),
        ("DYN_NEW_PLANE", "planning decides it"),
        ("DYN_SOME_NEW_PORT", "ports and addresses are planned"),
        ("VLLM_SOME_SIDE_CHANNEL_HOST", "ports and addresses are planned"),
        ("DYN_NEW_TLS_CERT_PATH", "encryption between services is not built yet"),
        ("NATS_AUTH_NKEY", "ask nobody for a login"),
        ("HF_HOME", "where planning looks for it"),
        ("hf_home", "where planning looks for it"),
        ("DYN_ROUTER_MODE", "write `router-mode` below `roles.frontend.flags`"),
        ("DYN_HELTH_CHECK_ENABLED", "did you mean DYN_HEALTH_CHECK_ENABLED?"),
        ("VLLM_LOGING_LEVEL", "did you mean VLLM_LOGGING_LEVEL?"),
    ],
)
def test_a_name_is_refused_with_what_to_do_instead(name: str, told: str) -> None:
    for module in ROLES:
        [problem] = problems(given(module, env={name: "x"}))
        assert problem.key.endswith(f"env.{name}")
        assert told in problem.message


@pytest.mark.parametrize(
    "name", ["NCCL_DEBUG", "UCX_TLS", "LD_LIBRARY_PATH", "DYN_LOG", "DYN_HISTOGRAM_TTFT_MAX", "MY_DB_PORT"]
)
def test_names_of_others_are_let_through(name: str) -> None:
    for module in ROLES:
        assert problems(given(module, env={name: "1"})) == []


ROUND_ROBIN = {"flags": {"router-mode": "round-robin"}}

ALONE: list[tuple[str, str, dict[str, Any], str]] = [
    ("dynamo.mocker", "enable-prefix-caching", {"enable-prefix-caching": False}, "KV router needs"),
    ("dynamo.vllm", "enable-prefix-caching", {"enable-prefix-caching": False}, "KV router needs"),
    ("dynamo.mocker", "block-size", {"block-size": 512}, "at most 256"),
    ("dynamo.vllm", "block-size", {"block-size": 512}, "at most 256"),
    ("dynamo.mocker", "max-model-len", {"max-model-len": 128}, "at least 512"),
    ("dynamo.vllm", "max-model-len", {"max-model-len": 128}, "at least 512"),
    ("dynamo.mocker", "num-gpu-blocks-override", {"num-gpu-blocks-override": 20}, "512 tokens"),
    (
        "dynamo.mocker",
        "max-num-batched-tokens",
        {"max-num-batched-tokens": 64, "enable-chunked-prefill": False},
        "one piece",
    ),
    ("dynamo.mocker", "speedup-ratio", {"speedup-ratio": 0.001}, "too slow"),
    ("dynamo.mocker", "speedup-ratio", {"decode-speedup-ratio": 0.001}, "too slow"),
    ("dynamo.mocker", "startup-time", {"startup-time": 3600}, "at most 30"),
    ("dynamo.mocker", "kv-transfer-bandwidth", {"kv-transfer-bandwidth": 1e-6}, "at least 0.01"),
    (
        "dynamo.mocker",
        "host-offload-d2h-bandwidth-gbps",
        {"host-offload-d2h-bandwidth-gbps": 5},
        "num-host",
    ),
    ("dynamo.frontend", "router-mode", {"router-mode": "direct"}, "use kv"),
    (
        "dynamo.frontend",
        "router-min-initial-workers",
        {"router-min-initial-workers": 2},
        "raise `replicas`",
    ),
    ("dynamo.frontend", "router-prefill-load-model", {"router-prefill-load-model": "ais"}, "aisimulate"),
    ("dynamo.frontend", "router-tracking-hash", {"router-tracking-hash": "keyed-xxh3-v1"}, "needs a key"),
    (
        "dynamo.frontend",
        "router-tracking-key-id",
        {"router-tracking-key-id": "a"},
        "router-tracking-hash",
    ),
    ("dynamo.frontend", "router-decode-policy", {"router-decode-policy": "x"}, "router-policy-config"),
    (
        "dynamo.frontend",
        "router-approximate-cache-policy",
        {"router-approximate-cache-policy": "lru"},
        "router-kv-events: false",
    ),
    ("dynamo.frontend", "dyn-chat-processor", {"dyn-chat-processor": "sglang"}, "use dynamo"),
    ("dynamo.frontend", "router-policy-config", {"router-policy-config": "x.yaml"}, "absolute path"),
    ("dynamo.frontend", "router-event-threads", {"router-event-threads": 65536}, "at most 1024"),
    ("dynamo.frontend", "router-predicted-ttl-secs", {"router-predicted-ttl-secs": 1e30}, "at most 86400"),
    ("dynamo.frontend", "router-kv-overlap-score-credit", {"router-kv-overlap-score-credit": 0.0}, "blind"),
    ("dynamo.frontend", "kv-overlap-score-weight", {"kv-overlap-score-weight": "0"}, "blind"),
    ("dynamo.mocker", "planner-profile-data", {"planner-profile-data": "x.npz"}, "absolute path"),
    ("dynamo.mocker", "reasoning", {"reasoning": '{"thinking_ratio": 2}'}, "thinking_ratio"),
    ("dynamo.frontend", "router-kv-overlap-score-credit", {"router-kv-overlap-score-credit": 0}, "blind"),
    ("dynamo.frontend", "router-kv-overlap-score-weight", {"router-kv-overlap-score-weight": 0}, "blind"),
    ("dynamo.mocker", "engine-type", {"engine-type": "sglang"}, "use vllm"),
    ("dynamo.frontend", "dyn-chat-processor", {"dyn-chat-processor": "vllm"}, "use dynamo"),
]
CANNOT_WORK = {
    f"{module}, {' and '.join(wrong)}": (given(module, flags=dict(wrong)), flag, told)
    for module, flag, wrong, told in ALONE
}


@pytest.mark.parametrize(("file", "flag", "told"), CANNOT_WORK.values(), ids=CANNOT_WORK.keys())
def test_flags_that_cannot_work_together_are_refused_with_the_reason(
    file: Settings, flag: str, told: str
) -> None:
    [problem] = problems(file)
    assert problem.key.endswith(f".flags.{flag}")
    assert told in problem.message


@pytest.mark.parametrize("name", ["router-track-output-blocks", "track-output-blocks"])
def test_output_blocks_are_tracked_where_no_request_is_for_a_pair_of_workers(name: str) -> None:
    frontend = {"frontend": {"flags": {name: True}}}
    assert problems(settings("agg", {"aggregated": {}} | frontend)) == []
    [problem] = problems(settings("disagg", {"prefill": {}, "decode": {}} | frontend))
    assert problem.key == f"roles.frontend.flags.{name}"


@pytest.mark.parametrize(
    "flags_of",
    [
        {"frontend": ROUND_ROBIN, "aggregated": {"flags": {"enable-prefix-caching": False}}},
        {"frontend": ROUND_ROBIN, "aggregated": {"flags": {"block-size": 512}}},
        {"frontend": {"flags": {"router-kv-events": False, "router-approximate-cache-policy": "lru"}}},
        {"frontend": {"flags": {"kv-events": False, "router-approximate-cache-policy": "lru"}}},
        {"frontend": {"flags": {"router-min-initial-workers": 1}}},
        {"aggregated": {"flags": {"speedup-ratio": 0}}},
        {"aggregated": {"flags": {"num-gpu-blocks-override": 10, "block-size": 64}}},
    ],
)
def test_what_works_together_is_planned(flags_of: dict[str, Any]) -> None:
    assert problems(settings("agg", {"aggregated": {}} | flags_of)) == []


def test_decode_workers_publish_nothing_and_so_need_no_prefix_cache() -> None:
    off = {"flags": {"enable-prefix-caching": False}}
    assert problems(settings("disagg", {"prefill": {}, "decode": off})) == []
    [problem] = problems(settings("disagg", {"prefill": off, "decode": {}}))
    assert problem.key == "roles.prefill.flags.enable-prefix-caching"


@pytest.mark.parametrize("flag", [{"kv-offloading-size": 4}, {"kv-offloading-backend": "native"}])
def test_offloading_does_not_take_the_place_of_the_connector_between_prefill_and_decode(
    flag: dict[str, Any],
) -> None:
    for role in ("prefill", "decode"):
        roles: dict[str, Any] = {"prefill": {}, "decode": {}} | {role: {"flags": flag}}
        [problem] = problems(settings("disagg", roles, engine="vllm"))
        assert problem.key == f"roles.{role}.flags.{next(iter(flag))}"
    assert problems(given("dynamo.vllm", flags=flag)) == []


def test_no_pipelines_between_which_nixl_would_move_kv_blocks() -> None:
    halves = {"parallelism": {"tensor": 4, "pipeline": 2}}
    for role in ("prefill", "decode"):
        [problem] = problems(real("disagg", {"prefill": {}, "decode": {}} | {role: halves}))
        assert (problem.key, problem.value) == (f"roles.{role}.parallelism.pipeline", "2")
    assert problems(real("agg", {"aggregated": halves})) == []


def test_a_flag_is_not_given_twice_by_two_of_its_names() -> None:
    [problem] = problems(given("dynamo.frontend", flags={"kv-events": True, "router-kv-events": False}))
    assert problem.key == "roles.frontend.flags.router-kv-events"
    assert "another name of `kv-events`" in problem.message
