"""From pydantic's errors to problems that name key, value, what was expected, and what to do."""

import re
from collections.abc import Collection, Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final

from pydantic.alias_generators import to_camel
from pydantic_core import ErrorDetails

from nodectl.common.redaction import quoted, redacted, shown
from settings.numbers import WrittenInt
from settings.problems import Problem
from settings.schema import at, example, expected, properties
from settings.yaml_values import PlainValueError, scalar

Path = tuple[str | int, ...]

_PLAIN_KEY: Final = re.compile(r"[\w.:/@-]{1,60}", re.ASCII)


def problem_of(error: ErrorDetails, tree: Mapping[str, Any]) -> Problem:
    """Return one of pydantic's errors as a problem, with the keys of `tree` as the user wrote them."""
    kind, location, value = error["type"], error["loc"], error["input"]
    if kind == "rule":
        text = "" if location[-1] == "[key]" else shown(value)
        return Problem(key_text(_as_user_wrote(location, tree)), error["msg"], text)
    if kind.startswith("union_tag"):
        location = (*location, "kind")
        kind, value = ("missing", None) if kind == "union_tag_not_found" else ("enum", value["kind"])
    key = key_text(_as_user_wrote(location, tree))
    name = str(location[-1])
    if kind == "extra_forbidden":
        return Problem(key, unknown(name, properties(at(location[:-1]))))
    schema = at(location)
    expectation = expected(schema)
    if kind == "missing":
        return Problem(key, f"missing: expected {expectation}{example(schema, name)}")
    return Problem(
        key, f"expected {expectation}{_remedy(value, expectation, example(schema, name))}", shown(value)
    )


def unknown(key: str, valid: Collection[str]) -> str:
    """Return the message for an unknown key, with the nearest valid key, or all of them."""
    near = nearest(key, valid)
    return f"unknown key; did you mean {near}?" if near else f"unknown key; expected {' or '.join(valid)}"


def nearest(key: str, valid: Collection[str]) -> str | None:
    """Return the valid key that was most likely meant."""
    by_lower = {name.lower(): name for name in valid}
    return next((by_lower[match] for match in get_close_matches(key.lower(), by_lower, n=1)), None)


def is_misspelt(key: str, keys: Iterable[str], valid: Collection[str]) -> bool:
    """Return whether an unknown key stands for `key`: then that is the problem, not that `key` is missing."""
    return any(nearest(name, valid) == key for name in keys if name not in valid)


def key_text(path: Path) -> str:
    """Return a path as users write it: `roles.decode.flags.kv-transfer-config`, odd keys quoted."""
    return ".".join(_part(part) for part in path)


def _part(part: str | int) -> str:
    if isinstance(part, int):
        return str(part)
    return redacted(part) if _PLAIN_KEY.fullmatch(part) else quoted(part)


def _as_user_wrote(location: Path, tree: Any) -> Path:
    """Return a location without the branches of unions that pydantic adds to it."""
    path: list[str | int] = []
    for index, part in enumerate(location):
        is_last = index == len(location) - 1
        if isinstance(tree, Mapping) and (part in tree or is_last):
            key = part if part in tree else _alias(part)
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            key = part
            tree = tree[part]
        else:
            continue
        if part != "[key]":
            path.append(key)
    return tuple(path)


def _alias(part: str | int) -> str | int:
    """Return the key of a field: for a wrong default, pydantic reports the field's own name."""
    return to_camel(part) if isinstance(part, str) and "_" in part else part


def _remedy(value: object, expectation: str, sample: str) -> str:
    """Return the remedy for a value of the wrong type: change its quotes, or follow an example."""
    if expectation == "a mapping":
        return sample
    if expectation.startswith("text") and isinstance(value, bool | int | float):
        return f'; write "{shown(value)}" in quotes'
    if isinstance(value, str) and _quotes_hide(value, expectation):
        return f"; write {redacted(value)} without quotes"
    return ""


def _quotes_hide(text: str, expectation: str) -> bool:
    try:
        plain = scalar(text)
    except PlainValueError:
        return False
    kind = {WrittenInt: "a whole number", bool: "true or false"}.get(type(plain))
    return kind is not None and expectation.startswith(kind)
