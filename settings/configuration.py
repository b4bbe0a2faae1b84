"""Pulumi's configuration of a stack: which keys are the project's, and how values are read.

A key is `namespace:name`. In a stack file one without a namespace is the project's, `dynamo`, and
`dynamo:config:name` is an older spelling of `dynamo:name`.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, Final

from pydantic import JsonValue

from settings.messages import key_text, nearest
from settings.problems import Problem
from settings.schema import properties, settings_schema
from settings.yaml_values import configured

PROJECT: Final = "dynamo"
NAMESPACE: Final = f"{PROJECT}:"
REGION_KEY: Final = "aws:region"
"""The AWS provider's key for the region."""


def own_keys(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return the keys below `dynamo:`, without the prefix, and the problems of wrong keys."""
    own: dict[str, Any] = {}
    misplaced: dict[str, Any] = {}
    problems = []
    valid = properties(settings_schema())
    for key, value in config.items():
        namespace, name = _parts(key)
        if namespace != PROJECT:
            strays = _stray(key, namespace, name)
            problems += strays
            if strays and name in valid:
                misplaced[name] = value  # what is wrong with it is told as well
        elif name in own:
            remedy = f"is written twice, with and without `{NAMESPACE}`; remove one"
            problems.append(Problem(key_text((name,)), remedy))
        else:
            own[name] = value
            if ":" not in key and name not in valid and (suggestion := nearest(name, valid)):
                message = f"unknown key; did you mean {suggestion}? write `{NAMESPACE}{suggestion}`"
                problems.append(Problem(key_text((name,)), message))
    return misplaced | own, problems


def value_of(value: Any) -> JsonValue:
    """Return the value of a key as Pulumi reads it; Pulumi keeps numbers and booleans as text.

    Raises PlainValueError for text that begins like JSON and is none.
    """
    return configured(value) if isinstance(value, str) else value


def same(left: object, right: object) -> bool:
    """Return whether Pulumi takes two values for equal: numbers by value, others by type and content."""
    match left, right:
        case dict(), dict():
            return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
        case list(), list():
            return len(left) == len(right) and all(map(same, left, right))
        case (bool(), _) | (_, bool()):
            return left is right
        case _:
            return left == right


def _parts(key: str) -> tuple[str, str]:
    """Return namespace and name as Pulumi parses them; an empty namespace if the key is invalid."""
    match key.split(":"):
        case [name]:
            return PROJECT, name
        case [namespace, name] | [namespace, "config", name]:
            return namespace, name
        case _:
            return "", key


def _stray(key: str, namespace: str, name: str) -> list[Problem]:
    """Return problems of keys that were meant for this project: Pulumi passes them to nobody, in silence."""
    valid = properties(settings_schema())
    suggestion = name if name in valid else nearest(name.rpartition(":")[2], valid)
    resembles_own = (
        name in valid or get_close_matches(namespace.lower(), [PROJECT]) or namespace.startswith(PROJECT)
    )
    if not namespace and not suggestion:
        return [Problem(key_text((key,)), f"is no key of Pulumi; write `{NAMESPACE}` and a name")]
    if (resembles_own or not namespace) and namespace != "pulumi":
        return [Problem(key_text((key,)), f"is read by nobody; write `{NAMESPACE}{suggestion or 'KEY'}`")]
    return []
