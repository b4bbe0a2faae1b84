"""Types, choices and ranges of the flags of Dynamo's modules, found by running the modules with values."""

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
"""Form of a value -> a value of that form. A flag that accepts any text has no forms."""

PROBED: Final[Mapping[str, Sequence[str]]] = {
    "dynamo.frontend": ["--router-mode=kv"],
    "dynamo.mocker": ["--model-path=model", "--model-name=name", "--block-size=16"],
}
"""Modules whose flags are probed one by one -> the other arguments they need."""

LADDER: Final = (-1000, -1, 0, 1, 2, 5, 16, 1000, 65535, 65536, 2**31, 2**32, 2**53)
STEPS: Final = (-1000.0, -1.0, 0.0, 0.001, 1.0, 1.5, 1000.0, 2.0**32)
"""Numbers to probe; a bound between two of them is found by bisection."""

_SIGNS: Final = {"ge": "least", "gt": "above", "le": "most", "lt": "below"}
_WORDS: Final = re.compile(r"(?:expected|choose from)(.*)", re.DOTALL)
_WORD: Final = re.compile(r"[`']([\w.-]+)[`']")
_READ_NAMES: list[str] = []


class RecordingEnvironment(dict[str, str]):
    """An environment that records the names that are read."""

    def get(self, key: str, default: Any = None) -> Any:
        _READ_NAMES.append(key)
        return super().get(key, default)


def known() -> dict[str, dict[str, Flag]]:
    """Return, for each module, its flags and the values they accept."""
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
    if aliases := sorted(
        alias
        for alias, alternative in actions.items()
        if alternative is action and alias not in (name, f"no-{name}")
    ):
        flag["also"] = [alias for alias in aliases if not alias.startswith("no-")]
    flag["short"] = sorted(
        option.removeprefix("-") for option in action.option_strings if not option.startswith("--")
    )
    if action.choices:
        flag["choices"] = sorted(str(choice) for choice in action.choices)
    elif takes != "nothing" and (accepts := _accepted_forms(action.type)):
        flag["accepts"] = accepts
    flag |= ranges.get(action.dest, {}) if "choices" not in flag else {}
    if module in PROBED and takes == "value" and "choices" not in flag:
        flag |= _probed(module, name, flag.get("accepts"))
    return {key: value for key, value in flag.items() if value != []}


def _accepted_forms(parse: Any) -> list[str]:
    """Return the forms of values that a flag's type accepts; none if it accepts any text."""
    if parse is None or parse is str or _accepts(parse, "any text"):
        return []
    return [form for form, sample in SAMPLES.items() if _accepts(parse, sample)]


def _accepts(parse: Callable[[str], Any], text: str) -> bool:
    try:
        parse(text)
    except Exception:
        return False
    return True


def _probed(module: str, name: str, accepts: Sequence[str] | None) -> Flag:
    """Return a flag's range or choices, from the values that the module refuses."""

    def complaint_for(value: object) -> str | None:
        return complaint(module, [*PROBED[module], f"--{name}={value}"])

    if accepts is None:
        expectation = _WORDS.search(complaint_for("?") or "")
        words: list[str] = sorted(set(_WORD.findall(expectation[1]))) if expectation else []
        return {"choices": words} if words and not complaint_for(words[0]) else {}
    if "integer" not in accepts:
        return {}
    if "number" in accepts:
        return _range(
            STEPS, complaint_for, lambda low, high: high - low < 0.01 or (low in STEPS and high in STEPS)
        )
    return _range(LADDER, complaint_for, lambda low, high: high - low <= 1)


def _range(
    steps: Sequence[float],
    complaint_for: Callable[[object], str | None],
    close: Callable[[float, float], bool],
) -> Flag:
    """Return `least` and `most`, or `above` if 0 is refused; nothing if every number is refused."""
    accepted = [step for step in steps if not complaint_for(step)]
    bounds: Flag = {}
    if not accepted:
        return bounds
    if accepted[0] != steps[0]:
        below = steps[steps.index(accepted[0]) - 1]
        least = _edge(accepted[0], below, complaint_for, close)
        bounds |= {"above": 0} if least == 0.001 else {"least": least}
    if accepted[-1] != steps[-1]:
        bounds["most"] = _edge(accepted[-1], steps[steps.index(accepted[-1]) + 1], complaint_for, close)
    return bounds


def _edge(
    accepted: float,
    rejected: float,
    complaint_for: Callable[[object], str | None],
    close: Callable[[float, float], bool],
) -> float:
    """Return the last accepted number between an accepted and a rejected one."""
    while not close(min(accepted, rejected), max(accepted, rejected)):
        middle = (accepted + rejected) // 2
        accepted, rejected = (accepted, middle) if complaint_for(middle) else (middle, rejected)
    return int(accepted) if float(accepted).is_integer() else accepted


def _declared_ranges() -> dict[str, Flag]:
    """Return the ranges that vLLM declares for its configuration, by field name.

    Several configuration classes share field names: only rules that all of them have are certain.
    """
    ranges: dict[str, Flag] = {}
    for _, config in inspect.getmembers(import_module("vllm.config"), is_dataclass):
        for name, field in getattr(config, "__pydantic_fields__", {}).items():
            rules = {
                key: getattr(rule, sign)
                for rule in field.metadata
                for sign, key in _SIGNS.items()
                if hasattr(rule, sign)
            }
            common = ranges.get(name, rules).items()
            ranges[name] = {key: value for key, value in rules.items() if (key, value) in common}
    return ranges


def _of_router(parser: argparse.ArgumentParser) -> Iterator[Action]:
    """Yield the flags of request routing, which a worker passes on to the frontend."""
    for group in parser._action_groups:
        if group.title and "Router Options" in group.title:
            yield from group._group_actions


@contextlib.contextmanager
def _recorded() -> Iterator[tuple[list[argparse.ArgumentParser], dict[int, str]]]:
    """Collect every parser that parses (Dynamo, its router and vLLM each have one), and the environment name
    that a flag's default was read from, by the identity of the flag."""
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
        names = [name for name in _READ_NAMES if name.startswith(("DYN_", "NATS_", "ETCD_"))]
        if names:
            variables[id(action)] = names[-1]
        _READ_NAMES.clear()
        return action

    parser_class.parse_known_args, container.add_argument = parse_known_args, add_argument
    try:
        yield parsers, variables
    finally:
        parser_class.parse_known_args, container.add_argument = parse, add
