"""Pulumi's configuration of a stack: whose keys are whose, and what its values mean.

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
"""The AWS provider's own."""


def own_keys(config: Mapping[str, Any]) -> tuple[dict[str, Any], list[Problem]]:
    """Return what a configuration says below `dynamo:`, without the prefix, and wrong keys."""
    found: dict[str, Any] = {}
    meant_for_us: dict[str, Any] = {}
    problems = []
    known = properties(settings_schema())
    for key, value in config.items():
        namespace, name = _parts(key)
        if namespace != PROJECT:
            strays = _stray(key, namespace, name)
            problems += strays
            if strays and name in known:
                meant_for_us[name] = value  # what is wrong with it is told as well
        elif name in found:
            remedy = f"is written twice, with and without `{NAMESPACE}`; remove one"
            problems.append(Problem(key_text((name,)), remedy))
        else:
            found[name] = value
            if ":" not in key and name not in known and (meant := nearest(name, known)):
                message = f"unknown key; did you mean {meant}? write `{NAMESPACE}{meant}`"
                problems.append(Problem(key_text((name,)), message))
    return meant_for_us | found, problems


def value_of(value: Any) -> JsonValue:
    """Return what the value of a key means to Pulumi, which keeps numbers and truth values as text.

    Raises PlainValueError for text that begins like JSON and is none.
    """
    return configured(value) if isinstance(value, str) else value


def same(ours: object, theirs: object) -> bool:
    """Return whether two values are one to Pulumi: numbers by value, all else by kind and content."""
    match ours, theirs:
        case dict(), dict():
            return ours.keys() == theirs.keys() and all(same(ours[key], theirs[key]) for key in ours)
        case list(), list():
            return len(ours) == len(theirs) and all(map(same, ours, theirs))
        case (bool(), _) | (_, bool()):
            return ours is theirs
        case _:
            return ours == theirs


def _parts(key: str) -> tuple[str, str]:
    """Return namespace and name as Pulumi parses them; no namespace where it is no key at all."""
    match key.split(":"):
        case [name]:
            return PROJECT, name
        case [namespace, name] | [namespace, "config", name]:
            return namespace, name
        case _:
            return "", key


def _stray(key: str, namespace: str, name: str) -> list[Problem]:
    """Find keys that were meant to be ours: Pulumi hands them to nobody, so nobody would miss them."""
    known = properties(settings_schema())
    meant = name if name in known else nearest(name.rpartition(":")[2], known)
    ours = name in known or get_close_matches(namespace.lower(), [PROJECT]) or namespace.startswith(PROJECT)
    if not namespace and not meant:
        return [Problem(key_text((key,)), f"is no key of Pulumi; write `{NAMESPACE}` and a name")]
    if (ours or not namespace) and namespace != "pulumi":
        return [Problem(key_text((key,)), f"is read by nobody; write `{NAMESPACE}{meant or 'KEY'}`")]
    return []
