"""Flags that are right by themselves and cannot work beside the rest of a stack file, each with its reason.

What may never be given is in `planning.commands.reserved`. The proof asks for a completion by a prompt of
some 400 tokens twice, and wants to see the second one hit the KV cache: an engine that
cannot do that cannot be proved.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Final

from nodectl.common.redaction import shown
from nodectl.contract.manifest import FlagValue
from planning.commands import flags as known_flags
from planning.commands.arguments import DEFAULT_FLAGS, FRONTEND, WORKER, router_mode
from planning.roles import START_SECONDS, engine_kind, worker_roles
from settings.models import FrontendSettings, RoleSettings, Settings
from settings.problems import Problem

Flags = Mapping[str, FlagValue]
Condition = Callable[[Settings, Flags], bool]
Rule = tuple[str, Condition, str]
"""A flag, whether its value cannot work there, and why not."""

PROMPT_TOKENS: Final = 512
"""Tokens that an engine must take at once: the proof's longest prompt with its chat template and answer."""

BLOCK_TOKENS: Final = 256
"""The largest block of the KV cache that such a prompt surely fills."""

SLOWEST: Final = 0.05
"""Lowest speed of simulated engines, relative to real ones, at which the proof ends in time."""

_NO_CONNECTOR: Final = (
    "vLLM would put it in place of the connector that moves KV blocks from prefill to decode; "
    "remove it, or use `pattern: agg`"
)
_BLIND: Final = "makes the KV router blind to what is cached; use more than 0, or `router-mode: least-loaded`"
_REASONING: Final = {"end_thinking_token_id", "start_thinking_token_id", "thinking_ratio"}
_SLOW: Final = (
    f"simulated engines would be too slow for the proof, expected at least {SLOWEST} together with "
    "`decode-speedup-ratio`, or 0 for no delay"
)
_KV_ROUTER: Final = "write `router-mode: round-robin` below `roles.frontend.flags`"


def problems(settings: Settings) -> Iterator[Problem]:
    """Find flags that cannot work beside what else the stack file says."""
    yield from _broken("frontend", FRONTEND, _FRONTEND_RULES, settings.roles.frontend, settings)
    module = WORKER[engine_kind(settings)]
    for name, role in worker_roles(settings):
        cache_rules = () if name == "decode" else _CACHE_RULES  # decode workers publish no KV events
        yield from _broken(
            name, module, (*cache_rules, *_WORKER_RULES, *_MODULE_RULES[module]), role, settings
        )
        yield from _pipelines(name, role, settings)


def _broken(
    name: str, module: str, rules: Sequence[Rule], role: RoleSettings | FrontendSettings, settings: Settings
) -> Iterator[Problem]:
    spellings = {_first_name(module, flag, value): flag for flag, value in role.flags.items()}
    values = {
        _first_name(module, flag, value): _value(module, flag, value) for flag, value in role.flags.items()
    }
    role_flags = dict(DEFAULT_FLAGS[module]) | values
    for flag, is_broken, reason in rules:
        if flag in role_flags and is_broken(settings, role_flags):
            key = spellings.get(flag, flag)
            yield Problem(f"roles.{name}.flags.{key}", reason, shown(role.flags.get(key, role_flags[flag])))


def _first_name(module: str, flag: str, value: FlagValue) -> str:
    """Return the first of a flag's names in the alphabet."""
    return min(known_flags.spellings(module, known_flags.written(module, flag, value)[0]))


def _value(module: str, flag: str, value: FlagValue) -> FlagValue:
    return known_flags.written(module, flag, value)[1]


def _number(flags: Flags, name: str) -> float | None:
    """Return a flag's number; None where it has none, or a value that only the module understands."""
    value: Any = flags.get(name)
    try:
        return None if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        return None


def _below(name: str, least: float) -> Condition:
    return lambda _, flags: (number := _number(flags, name)) is not None and number < least


def _above(name: str, most: float) -> Condition:
    return lambda _, flags: (number := _number(flags, name)) is not None and number > most


def _equals(name: str, number: float) -> Condition:
    return lambda _, flags: _number(flags, name) == number


def _product_below(name: str, other: str, least: float, other_default: float) -> Condition:
    """Return whether two numbers together are too low; 0: no bound. `other_default`: default of `other`."""

    def is_below(_: Settings, flags: Flags) -> bool:
        number, factor = _number(flags, name), _number(flags, other)
        product = (number or 0) * (other_default if factor is None else factor)
        return number is not None and 0 < product < least

    return is_below


def _is(name: str, *values: FlagValue) -> Condition:
    return lambda _, flags: flags.get(name) in values


def _by_kv(settings: Settings, _: Flags) -> bool:
    return router_mode(settings) == "kv"


def _in_disagg(settings: Settings, _: Flags) -> bool:
    return settings.pattern == "disagg"


def _both(*conditions: Condition) -> Condition:
    return lambda settings, flags: all(condition(settings, flags) for condition in conditions)


def _not(condition: Condition) -> Condition:
    return lambda settings, flags: not condition(settings, flags)


def _without(name: str, *values: FlagValue) -> Condition:
    """Return whether a flag has none of these values; without values, whether it is not there."""
    return lambda _, flags: flags[name] not in values if values and name in flags else name not in flags


def _is_reasoning(value: FlagValue) -> bool:
    try:
        content: Any = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return False
    if not isinstance(content, dict) or content.keys() != _REASONING:
        return False
    *tokens, ratio = (content[key] for key in sorted(_REASONING))
    numbers = [number for number in tokens if isinstance(number, int) and 0 <= number < 1 << 32]
    return len(numbers) == 2 and isinstance(ratio, int | float) and 0 <= ratio <= 1


def _fewest(settings: Settings) -> int:
    return min(role.replicas for _, role in worker_roles(settings))


def _files(*names: str) -> tuple[Rule, ...]:
    """Return rules for flags that name files: services start in a folder of their own."""

    def is_relative(name: str) -> Condition:
        return lambda _, flags: not (isinstance(flags[name], str) and str(flags[name]).startswith("/"))

    return tuple(
        (name, is_relative(name), "expected the absolute path of a file on the nodes") for name in names
    )


_FRONTEND_RULES: Final[tuple[Rule, ...]] = (
    *_files("router-policy-config", "router-tracking-key-file"),
    *(
        (
            name,
            _both(_equals(name, 0), _by_kv),
            _BLIND,
        )
        for name in ("kv-overlap-score-weight", "router-kv-overlap-score-credit")
    ),
    (
        "router-track-output-blocks",
        _both(_is("router-track-output-blocks", True), _in_disagg),
        "has Dynamo 1.6 answer 503 to a request for one prefill and one decode worker, as the proof's are",
    ),
    (
        "enable-session-prefix-index",
        _both(_is("enable-session-prefix-index", True), _is("kv-events", False)),
        "is made from KV events; remove `router-kv-events: false`, or this",
    ),
    (
        "router-event-threads",
        _above("router-event-threads", 1024),
        "more threads than a frontend starts, expected at most 1024",
    ),
    (
        "router-predicted-ttl-secs",
        _above("router-predicted-ttl-secs", 86400),
        "is longer than Dynamo can count, expected at most 86400",
    ),
    (
        "router-min-initial-workers",
        lambda settings, flags: (_number(flags, "router-min-initial-workers") or 0) > _fewest(settings),
        "frontends would wait for more workers than a role has; raise `replicas`, or lower it",
    ),
    (
        "router-mode",
        _is("router-mode", "direct"),
        "takes only requests that name their worker, as nobody's clients do; use kv",
    ),
    (
        "router-prefill-load-model",
        _is("router-prefill-load-model", "ais"),
        "needs the package aisimulate, which the locked versions are without; remove it",
    ),
    (
        "router-tracking-hash",
        _both(_is("router-tracking-hash", "keyed-xxh3-v1"), _without("router-tracking-key-file")),
        "needs a key: add `router-tracking-key-file`, a file on every node with a frontend, or remove it",
    ),
    *(
        (
            name,
            _without("router-tracking-hash", "keyed-xxh3-v1"),
            "needs `router-tracking-hash: keyed-xxh3-v1`",
        )
        for name in ("router-tracking-key-file", "router-tracking-key-id")
    ),
    *(
        (
            name,
            _without("router-policy-config"),
            "names a policy of `router-policy-config`; add it, or remove this",
        )
        for name in ("router-decode-policy", "router-prefill-policy")
    ),
    (
        "router-approximate-cache-policy",
        _both(_is("router-approximate-cache-policy", "lru"), _without("kv-events", False)),
        "is only for a router without KV events; write `router-kv-events: false`, or use ttl",
    ),
    (
        "dyn-chat-processor",
        _is("dyn-chat-processor", "sglang"),
        "needs SGLang, which the locked versions are without; use dynamo",
    ),
    (
        "dyn-chat-processor",
        _both(_is("dyn-chat-processor", "vllm"), lambda settings, _: engine_kind(settings) != "vllm"),
        "needs vLLM, which nodes of simulated engines are without; use dynamo",
    ),
)

_CACHE_RULES: Final[tuple[Rule, ...]] = (
    (
        "block-size",
        _both(_above("block-size", BLOCK_TOKENS), _by_kv),
        f"the proof's prompts fill no such block, expected at most {BLOCK_TOKENS}; or {_KV_ROUTER}",
    ),
    (
        "enable-prefix-caching",
        _both(_is("enable-prefix-caching", False), _by_kv),
        f"the KV router needs what it leaves out; remove it, or {_KV_ROUTER}",
    ),
)

_WORKER_RULES: Final[tuple[Rule, ...]] = (
    (
        "max-model-len",
        _both(_below("max-model-len", PROMPT_TOKENS), _not(_equals("max-model-len", -1))),
        f"the proof's prompts do not fit, expected at least {PROMPT_TOKENS}",
    ),
)

_MODULE_RULES: Final[Mapping[str, tuple[Rule, ...]]] = {
    "dynamo.mocker": (
        *_files("planner-profile-data", "response-replay-trace-path"),
        (
            "reasoning",
            lambda _, flags: not _is_reasoning(flags["reasoning"]),
            "expected {start_thinking_token_id: 1, end_thinking_token_id: 2, thinking_ratio: 0.5} or alike",
        ),
        (
            "engine-type",
            _both(_is("engine-type", "sglang"), lambda settings, _: settings.pattern == "agg", _by_kv),
            f"the simulated SGLang does not say what it has cached; use vllm, or {_KV_ROUTER}",
        ),
        (
            "num-host-blocks",
            _is("engine-type", "sglang", "trtllm"),
            "only the simulated vLLM has host blocks; remove `engine-type`, or this",
        ),
        (
            "num-gpu-blocks-override",
            _product_below("num-gpu-blocks-override", "block-size", PROMPT_TOKENS, 16),
            f"the proof's prompts do not fit, expected {PROMPT_TOKENS} tokens in all blocks together",
        ),
        (
            "max-num-batched-tokens",
            _both(_is("enable-chunked-prefill", False), _below("max-num-batched-tokens", PROMPT_TOKENS)),
            f"the proof's prompts do not fit in one piece, expected at least {PROMPT_TOKENS} without chunks",
        ),
        ("speedup-ratio", _product_below("speedup-ratio", "decode-speedup-ratio", SLOWEST, 1), _SLOW),
        (
            "startup-time",
            _above("startup-time", START_SECONDS["mocker"] // 2),
            f"a start may not take so long, expected at most {START_SECONDS['mocker'] // 2}",
        ),
        (
            "kv-transfer-bandwidth",
            _both(_not(_equals("kv-transfer-bandwidth", 0)), _below("kv-transfer-bandwidth", 0.01)),
            "KV blocks would move too slowly for the proof, expected 0 for no delay, or at least 0.01",
        ),
        (
            "num-host-blocks",
            _is("enable-prefix-caching", False),
            "needs prefix caching; remove `enable-prefix-caching: false`, or this",
        ),
        *(
            (name, _without("num-host-blocks"), "needs `num-host-blocks`; add it, or remove this")
            for name in ("host-offload-d2h-bandwidth-gbps", "host-offload-h2d-bandwidth-gbps")
        ),
    ),
    "dynamo.vllm": tuple(
        (
            name,
            _in_disagg,
            _NO_CONNECTOR,
        )
        for name in ("kv-offloading-backend", "kv-offloading-size")
    ),
}


def _pipelines(name: str, role: RoleSettings, settings: Settings) -> Iterator[Problem]:
    """Find pipelines between which no KV blocks move: NIXL's connector asserts that there is one stage."""
    if settings.pattern == "disagg" and engine_kind(settings) == "vllm" and role.parallelism.pipeline > 1:
        yield Problem(
            f"roles.{name}.parallelism.pipeline",
            "NIXL moves no KV blocks between pipelines; use 1 and more `tensor`, or `pattern: agg`",
            str(role.parallelism.pipeline),
        )
