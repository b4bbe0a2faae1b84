"""Refuse values of environment variables that Dynamo and Python do not start with, or ignore in silence."""

import re
from collections.abc import Mapping
from typing import Final

_WHOLE: Final = re.compile(r"[0-9]{1,15}")
_NUMBER: Final = re.compile(r"[0-9]{1,15}(\.[0-9]*)?|\.[0-9]+")

LEAST: Final[Mapping[str, int]] = {
    "DYN_CANARY_WAIT_TIME": 1,
    "DYN_COMPUTE_STACK_SIZE": 1 << 16,
    "DYN_COMPUTE_THREADS": 0,
    "DYN_HEALTH_CHECK_REQUEST_TIMEOUT": 1,
    "DYN_HTTP_BODY_LIMIT_MB": 1,
    "DYN_RUNTIME_MAX_BLOCKING_THREADS": 1,
    "DYN_RUNTIME_NUM_WORKER_THREADS": 1,
    "DYN_TCP_CHANNEL_BUFFER": 1,
    "DYN_TCP_CONNECT_TIMEOUT": 1,
    "DYN_TCP_MAX_MESSAGE_SIZE": 1 << 20,
    "DYN_TCP_POOL_SIZE": 1,
    "DYN_TCP_REQUEST_TIMEOUT": 1,
    "DYN_TCP_WORKER_POOL_SIZE": 1,
    "DYN_TCP_WORK_QUEUE_SIZE": 1,
}
"""Whole numbers, and below which frontends and workers end or answer nothing."""

WORDS: Final[Mapping[str, tuple[str, str]]] = {
    "DYN_HEALTH_CHECK_ENABLED": (r"true|false", "true or false"),
    "DYN_PARSER_VERSION": (r"auto|1|2", "auto, 1 or 2"),
    "PYTHONHASHSEED": (r"random|[0-9]{1,9}", "random or a whole number"),
    "PYTHONINTMAXSTRDIGITS": (r"0|[1-9][0-9]{3,8}", "0 or a whole number from 1000"),
    "PYTHONMALLOC": (
        r"default|malloc|pymalloc|debug|malloc_debug|pymalloc_debug",
        "default, malloc, pymalloc or one of these with _debug",
    ),
    "PYTHONTRACEMALLOC": (r"[0-9]{1,4}", "a whole number"),
    "PYTHONUTF8": (r"0|1", "0 or 1"),
}
"""Names whose values are words, or end the process, and what they are."""

MOST: Final[Mapping[str, int]] = {
    "DYN_COMPUTE_THREADS": 1024,
    "DYN_RUNTIME_MAX_BLOCKING_THREADS": 1 << 16,
    "DYN_RUNTIME_NUM_WORKER_THREADS": 1024,
}
"""More threads than that are not started in time."""

_MEASURES: Final = re.compile(
    r"(DYN|ETCD|NATS)_.*_(BACKLOG|BUFFER|BYTES|CAPACITY|GB|INTERVAL|LIMIT|MB|MS|SECONDS|SECS|SIZE|THREADS"
    r"|TICKS|TIMEOUT|TTL|US)"
)
"""Names of measures: text that is no number is passed over."""


def wrong_value(name: str, text: str) -> str | None:
    """Return what an environment variable should hold; None where its value will do."""
    if name in WORDS:
        pattern, words = WORDS[name]
        return None if re.fullmatch(pattern, text) else f"expected {words}"
    if name in LEAST:
        least, most = LEAST[name], MOST.get(name)
        fits = _WHOLE.fullmatch(text) and least <= int(text) <= (most or int(text))
        return None if fits else f"expected a whole number from {least}{f' to {most}' if most else ''}"
    if _MEASURES.fullmatch(name) and not _NUMBER.fullmatch(text):
        return "expected a number of 0 or more"
    return None
