"""Rules that no single key can tell, on values as they were written, so that all are told at once."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from settings.messages import Path, is_misspelt, key_text
from settings.problems import Problem
from settings.schema import at, properties

TOKEN_KEY: Final = "huggingFaceToken"  # noqa: S105 - the name of the key
"""The one secret; a scalar of its own, since Pulumi writes a structure with a secret inside in clear."""

SET_TOKEN: Final = f"`pulumi config set --secret dynamo:{TOKEN_KEY}`"

_WORKERS: Final = {"agg": ("aggregated",), "disagg": ("prefill", "decode")}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_SECRET_NAME: Final = re.compile(
    r"(.*[_-])?(token|password|secret|passphrase|api[_-]?key|access[_-]key)", re.IGNORECASE
)
_HUB_TOKEN: Final = re.compile(r"hf_[A-Za-z0-9]{30,}")
_DEEPEST: Final = 20


def every_value_is_plain(value: Any, path: Path = ()) -> Iterator[Problem]:
    """Find what may stand nowhere: empty values, secrets, control characters, endless nesting."""
    key = key_text(path)
    if value is None:
        yield Problem(key, "is empty; write a value or remove the key")
    elif len(path) > _DEEPEST:
        yield Problem(key, f"is nested deeper than {_DEEPEST} levels; remove levels")
    elif is_encrypted(value):
        yield Problem(key, f"may not be encrypted: write it in clear; for the hub token run {SET_TOKEN}")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _entry(name, item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from every_value_is_plain(item, (*path, index))
    elif isinstance(value, str):
        yield from _text(value, key)


def _text(text: str, key: str) -> Iterator[Problem]:
    if _HUB_TOKEN.search(text):
        yield Problem(key, f"holds a hub token in clear; revoke it, remove it and run {SET_TOKEN}")
    if _CONTROL.search(text):
        yield Problem(key, "holds a control character or line break; write it on one line without")


def _entry(name: str, item: Any, path: Path) -> Iterator[Problem]:
    key = key_text(path)
    if _CONTROL.search(name):
        yield Problem(key, "holds a control character or line break in its name; remove it")
    elif _SECRET_NAME.fullmatch(name):
        yield Problem(key, f"secrets may not stand here; remove it and, for the hub token, run {SET_TOKEN}")
    else:
        yield from every_value_is_plain(item, path)


def roles_fit_the_pattern(tree: Mapping[str, Any]) -> Iterator[Problem]:
    """`agg` has aggregated workers, `disagg` has prefill and decode workers, and each has only its own."""
    pattern, roles = tree.get("pattern"), tree.get("roles")
    if pattern not in ("agg", "disagg") or not isinstance(roles, Mapping):
        return
    other = "disagg" if pattern == "agg" else "agg"
    missing = [role for role in _WORKERS[pattern] if not _is_meant(role, roles)]
    foreign = [role for role in _WORKERS[other] if role in roles]
    if len(missing) == len(_WORKERS[pattern]) and len(foreign) == len(_WORKERS[other]):
        yield Problem(
            "pattern",
            f"has the roles of {other}: write `pattern: {other}`, "
            f"or {' and '.join(missing)} in place of {' and '.join(foreign)} below `roles`",
            f'"{pattern}"',
        )
        return
    for role in missing:
        yield Problem(
            f"roles.{role}",
            f"missing: pattern {pattern} needs it; add `{role}: {{replicas: 1}}` below `roles`",
        )
    for role in foreign:
        yield Problem(
            f"roles.{role}", f"does not belong to pattern {pattern}; remove it or write `pattern: {other}`"
        )


def is_encrypted(value: Any) -> bool:
    """Return whether a value is what Pulumi keeps for a secret."""
    return isinstance(value, Mapping) and list(value) == ["secure"] and isinstance(value["secure"], str)


def _is_meant(role: str, roles: Mapping[str, Any]) -> bool:
    return role in roles or is_misspelt(role, roles, properties(at(("roles",))))
