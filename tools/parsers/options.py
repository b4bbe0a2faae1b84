"""Types, choices and ranges of the flags of Dynamo's modules, found by trying them on the modules."""

import argparse
import contextlib
import inspect
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import is_dataclass
from importlib import import_module
from typing import Any, Final

from tools.parsers.modules import STARTS, complaint

Action = argparse.Action
Flag = dict[str, Any]

SAMPLES: Final = {
    "integer": "7",
    "number": "2.5",
    "size": "8k",
    "boolean": "true",
    "mapping": "{}",
    "list": "[]",
    "auto": "auto",
    "None": "None",
}
"""Form of a value -> a value of that form. A flag that takes other text as well is not looked at further."""

TRIED: Final[Mapping[str, Sequence[str]]] = {
    "dynamo.frontend": ["--router-mode=kv"],
    "dynamo.mocker": ["--model-path=model", "--model-name=name", "--block-size=16"],
}
"""Modules whose flags are tried one by one, and what they are given besides."""

LADDER: Final = (-1000, -1, 0, 1, 2, 5, 16, 1000, 65535, 65536, 2**31, 2**32, 2**53)
STEPS: Final = (-1000.0, -1.0, 0.0, 0.001, 1.0, 1.5, 1000.0, 2.0**32)
"""Numbers to try, and what lies between two of them is narrowed down."""

_SIGNS: Final = {"ge": "least", "gt": "above", "le": "most", "lt": "below"}
_WORDS: Final = re.compile(r"(?:expected|choose from)(.*)", re.DOTALL)
_WORD: Final = re.compile(r"[`']([\w.-]+)[`']")
_READ: list[str] = []


class Asked(dict[str, str]):
    """An environment that remembers which names were asked for."""

    def get(self, key: str, default: Any = None) -> Any:
        _READ.append(key)
        return super().get(key, default)


def known() -> dict[str, dict[str, Flag]]:
    """Return, for each module, its flags and what they take."""
    return {module: _flags(module) for module in STARTS}


def _flags(module: str) -> dict[str, Flag]:
    with _recorded() as (parsers, variables):
        complaint(module, [])
    actions = {
        option.removeprefix("--"): action
        for parser in parsers
        for action in parser._actions
        for option in action.option_strings
        if option.startswith("--") and option not in ("--help", "--version")
    }
    ranges = _declared_ranges() if module == "dynamo.vllm" else {}
    routing = {id(action) for parser in parsers for action in _of_router(parser)}
    return {
        name: _described(module, name, action, actions, ranges)
        | ({"env": variables[id(action)]} if id(action) in variables else {})
        | ({"routes": True} if id(action) in routing else {})
        for name, action in actions.items()
        if name.removeprefix("no-") == name or name.removeprefix("no-") not in actions
    }


def _described(
    module: str, name: str, action: Action, actions: Mapping[str, Action], ranges: Mapping[str, Flag]
) -> Flag:
    takes = {0: "nothing", None: "value", "?": "optional"}.get(action.nargs, "values")
    flag: Flag = {"takes": takes}
    if f"no-{name}" in actions:
        flag["off"] = True
    if also := sorted(
        other for other, one in actions.items() if one is action and other not in (name, f"no-{name}")
    ):
        flag["also"] = [other for other in also if not other.startswith("no-")]
    flag["short"] = sorted(
        option.removeprefix("-") for option in action.option_strings if not option.startswith("--")
    )
    if action.choices:
        flag["choices"] = sorted(str(choice) for choice in action.choices)
    elif takes != "nothing" and (accepts := _accepted(action.type)):
        flag["accepts"] = accepts
    flag |= ranges.get(action.dest, {}) if "choices" not in flag else {}
    if module in TRIED and takes == "value" and "choices" not in flag:
        flag |= _tried(module, name, flag.get("accepts"))
    return {key: value for key, value in flag.items() if value != []}


def _accepted(reads: Any) -> list[str]:
    """Return the forms of values that a flag's type takes, none where it takes any text."""
    if reads is None or reads is str or _takes(reads, "any text"):
        return []
    return [form for form, sample in SAMPLES.items() if _takes(reads, sample)]


def _takes(reads: Callable[[str], Any], text: str) -> bool:
    try:
        reads(text)
    except Exception:
        return False
    return True


def _tried(module: str, name: str, accepts: Sequence[str] | None) -> Flag:
    """Return a flag's range or words, as the module tells them by what it refuses."""

    def refused(value: object) -> str | None:
        return complaint(module, [*TRIED[module], f"--{name}={value}"])

    if accepts is None:
        said = _WORDS.search(refused("?") or "")
        words: list[str] = sorted(set(_WORD.findall(said[1]))) if said else []
        return {"choices": words} if words and not refused(words[0]) else {}
    if "integer" not in accepts:
        return {}
    if "number" in accepts:
        return _range(STEPS, refused, lambda low, high: high - low < 0.01 or (low in STEPS and high in STEPS))
    return _range(LADDER, refused, lambda low, high: high - low <= 1)


def _range(
    steps: Sequence[float], refused: Callable[[object], str | None], close: Callable[[float, float], bool]
) -> Flag:
    """Return `least` and `most`, or `above` where 0 is not taken; nothing where no number is."""
    taken = [step for step in steps if not refused(step)]
    found: Flag = {}
    if not taken:
        return found
    if taken[0] != steps[0]:
        below = steps[steps.index(taken[0]) - 1]
        least = _edge(taken[0], below, refused, close)
        found |= {"above": 0} if least == 0.001 else {"least": least}
    if taken[-1] != steps[-1]:
        found["most"] = _edge(taken[-1], steps[steps.index(taken[-1]) + 1], refused, close)
    return found


def _edge(
    taken: float,
    not_taken: float,
    refused: Callable[[object], str | None],
    close: Callable[[float, float], bool],
) -> float:
    """Return the last number that is taken, on the way from one that is to one that is not."""
    while not close(min(taken, not_taken), max(taken, not_taken)):
        middle = (taken + not_taken) // 2
        taken, not_taken = (taken, middle) if refused(middle) else (middle, not_taken)
    return int(taken) if float(taken).is_integer() else taken


def _declared_ranges() -> dict[str, Flag]:
    """Return the ranges that vLLM declares for its configuration, by name of the field.

    Several parts have some fields in common: only what all of them ask for is sure to hold.
    """
    found: dict[str, Flag] = {}
    for _, config in inspect.getmembers(import_module("vllm.config"), is_dataclass):
        for name, field in getattr(config, "__pydantic_fields__", {}).items():
            rules = {
                key: getattr(rule, sign)
                for rule in field.metadata
                for sign, key in _SIGNS.items()
                if hasattr(rule, sign)
            }
            same = found.get(name, rules).items()
            found[name] = {key: value for key, value in rules.items() if (key, value) in same}
    return found


def _of_router(parser: argparse.ArgumentParser) -> Iterator[Action]:
    """Yield the flags that decide how requests are routed: a worker hands its own on to the frontend."""
    for group in parser._action_groups:
        if group.title and "Router Options" in group.title:
            yield from group._group_actions


@contextlib.contextmanager
def _recorded() -> Iterator[tuple[list[argparse.ArgumentParser], dict[int, str]]]:
    """Collect every parser that is asked to parse (Dynamo, its router and vLLM each bring one), and the
    environment name that was asked for a flag's default, by the flag's identity."""
    parsers: list[argparse.ArgumentParser] = []
    variables: dict[int, str] = {}
    parser_class: Any = argparse.ArgumentParser
    container: Any = argparse._ActionsContainer
    parse, add = parser_class.parse_known_args, container.add_argument

    def parse_known_args(self: argparse.ArgumentParser, *args: Any, **kwargs: Any) -> Any:
        parsers.append(self)
        return parse(self, *args, **kwargs)

    def add_argument(self: Any, *args: Any, **kwargs: Any) -> Any:
        action = add(self, *args, **kwargs)
        names = [name for name in _READ if name.startswith(("DYN_", "NATS_", "ETCD_"))]
        if names:
            variables[id(action)] = names[-1]
        _READ.clear()
        return action

    parser_class.parse_known_args, container.add_argument = parse_known_args, add_argument
    try:
        yield parsers, variables
    finally:
        parser_class.parse_known_args, container.add_argument = parse, add
