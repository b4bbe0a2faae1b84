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
    """Return what one of pydantic's errors says to the user who wrote `tree`."""
    kind, location, given = error["type"], error["loc"], error["input"]
    if kind == "rule":
        value = "" if location[-1] == "[key]" else shown(given)
        return Problem(key_text(_written(location, tree)), error["msg"], value)
    if kind.startswith("union_tag"):
        location = (*location, "kind")
        kind, given = ("missing", None) if kind == "union_tag_not_found" else ("enum", given["kind"])
    key = key_text(_written(location, tree))
    name = str(location[-1])
    if kind == "extra_forbidden":
        return Problem(key, unknown(name, properties(at(location[:-1]))))
    schema = at(location)
    wanted = expected(schema)
    if kind == "missing":
        return Problem(key, f"missing: expected {wanted}{example(schema, name)}")
    return Problem(key, f"expected {wanted}{_remedy(given, wanted, example(schema, name))}", shown(given))


def unknown(key: str, known: Collection[str]) -> str:
    """Return that a key is unknown, with the nearest valid one, or all of them."""
    near = nearest(key, known)
    return f"unknown key; did you mean {near}?" if near else f"unknown key; expected {' or '.join(known)}"


def nearest(key: str, known: Collection[str]) -> str | None:
    """Return the valid key that was most likely meant."""
    by_lower = {name.lower(): name for name in known}
    return next((by_lower[match] for match in get_close_matches(key.lower(), by_lower, n=1)), None)


def is_misspelt(key: str, given: Iterable[str], known: Collection[str]) -> bool:
    """Return whether an unknown key stands for `key`: then that is the problem, not that `key` is missing."""
    return any(nearest(name, known) == key for name in given if name not in known)


def key_text(path: Path) -> str:
    """Return a path as users write it: `roles.decode.flags.kv-transfer-config`, odd keys quoted."""
    return ".".join(_part(part) for part in path)


def _part(part: str | int) -> str:
    if isinstance(part, int):
        return str(part)
    return redacted(part) if _PLAIN_KEY.fullmatch(part) else quoted(part)


def _written(location: Path, tree: Any) -> Path:
    """Return a location as it was written: pydantic's also holds the branches of unions."""
    path: list[str | int] = []
    for index, part in enumerate(location):
        last = index == len(location) - 1
        if isinstance(tree, Mapping) and (part in tree or last):
            written = part if part in tree else _alias(part)
            tree = tree.get(part)
        elif isinstance(tree, list) and isinstance(part, int) and part < len(tree):
            written = part
            tree = tree[part]
        else:
            continue
        if part != "[key]":
            path.append(written)
    return tuple(path)


def _alias(part: str | int) -> str | int:
    """Return the key of a field: where a default is wrong, pydantic tells the field's own name."""
    return to_camel(part) if isinstance(part, str) and "_" in part else part


def _remedy(given: object, wanted: str, sample: str) -> str:
    """Return what to do where the kind of value is wrong: mind the quotes, or follow an example."""
    if wanted == "a mapping":
        return sample
    if wanted.startswith("text") and isinstance(given, bool | int | float):
        return f'; write "{shown(given)}" in quotes'
    if isinstance(given, str) and _quotes_hide(given, wanted):
        return f"; write {redacted(given)} without quotes"
    return ""


def _quotes_hide(text: str, wanted: str) -> bool:
    try:
        plain = scalar(text)
    except PlainValueError:
        return False
    kind = {WrittenInt: "a whole number", bool: "true or false"}.get(type(plain))
    return kind is not None and wanted.startswith(kind)
