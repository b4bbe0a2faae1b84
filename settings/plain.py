"""YAML and configuration text to plain values, read as Pulumi reads them.

Pulumi's YAML takes other scalars for numbers than PyYAML does (`0x10`, `012`, `1_000`, dates). Here decimal
numbers, `true`, `false` and null are what they look like, other number-like text must be quoted, and all the
rest is text: a file means the same to `scripts/plan` as to `pulumi up`.
"""

import json
import re
from typing import Any, Final

import yaml
from pydantic import JsonValue

from settings.problems import Problem, StackFileError

MAX_NUMBER: Final = 2**53
"""Above this, Pulumi's configuration (JSON with floating point) no longer keeps a number exact."""

_NULL: Final = re.compile(r"~|null|Null|NULL|")
_BOOL: Final = re.compile(r"true|True|TRUE|false|False|FALSE")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_EXPONENT: Final = r"([eE][-+]?[0-9]+)?"
_NUMBER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*|\.[0-9]+|[0-9]+\.[0-9]*)" + _EXPONENT)
_NUMBER_TO_PULUMI: Final = re.compile(
    r"[-+]?0[xXoObB][0-9a-fA-F_]+|[-+]?[0-9][0-9_]*(\.[0-9_]*)?([eE][-+]?[0-9_]+)?"
    r"|[-+]?\.(inf|Inf|INF|nan|NaN|NAN)|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*"
)


class PlainValueError(ValueError):
    """Text that is no value; says what to write instead."""


def scalar(text: str) -> JsonValue:
    """Return what a plain (unquoted) scalar means: null, a truth value, a number or the text itself.

    Raises PlainValueError for numbers in any other notation, dates, and numbers that cannot be kept exactly.
    """
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _NUMBER.fullmatch(text):
        return number(text)
    if _NUMBER_TO_PULUMI.fullmatch(text):
        raise PlainValueError("neither plain text nor a decimal number; put it in quotes if it is text")
    return text


def number(text: str) -> int | float:
    """Return a decimal number, whole where it is whole (Pulumi makes no difference between 1 and 1.0)."""
    value = float(text)
    if abs(value) > MAX_NUMBER:
        raise PlainValueError(f"number too large to be kept exactly, expected at most {MAX_NUMBER}")
    return int(value) if value.is_integer() else value


def configured(text: str) -> JsonValue:
    """Return the value of one key of Pulumi's configuration: structures are JSON, all else is plain text.

    Raises PlainValueError for text that is neither.
    """
    if not text.startswith(("{", "[")):
        return scalar(text)
    try:
        value: JsonValue = json.loads(text, parse_float=number, parse_int=number)
    except PlainValueError:
        raise
    except (ValueError, RecursionError):
        raise PlainValueError("expected JSON, as Pulumi makes it of a structure") from None
    return value


def load(text: str) -> JsonValue:
    """Return what a YAML document says; None when it is empty.

    Raises StackFileError, with line and column, for what is not YAML, and for what Pulumi or a reader would
    take for something else: repeated keys, keys that are not text, aliases, tags, numbers in odd notations.
    """
    try:
        node = yaml.compose(text, Loader=_Composer)
        return None if node is None else _value(node)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise StackFileError([Problem(f"line {line}", "holds a control character; remove it")]) from None
    except yaml.MarkedYAMLError as error:
        raise _at(
            error.problem_mark, f"not YAML: {error.problem}; check indentation, brackets and quotes"
        ) from None
    except RecursionError:
        raise StackFileError([Problem("file", "is nested too deeply; remove levels")]) from None
    except StackFileError:
        raise
    except (OverflowError, ValueError):  # PyYAML hands any \\U escape to chr()
        raise StackFileError([Problem("file", "holds an escape beyond \\U0010ffff; remove it")]) from None


class _Composer(yaml.BaseLoader):
    """PyYAML without aliases and tags."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            raise _at(event.start_mark, "aliases (`*name`) are not read; write the values out")
        if event.tag is not None:
            raise _at(event.start_mark, f"tags ({event.tag!r:.60}) are not read; remove it")
        return super().compose_node(parent, index)


def _value(node: Any) -> JsonValue:
    if isinstance(node, yaml.MappingNode):
        return _mapping(node)
    if isinstance(node, yaml.SequenceNode):
        return [_value(item) for item in node.value]
    return _scalar(node)


def _scalar(node: yaml.ScalarNode) -> JsonValue:
    if _SURROGATE.search(node.value):
        raise _at(node.start_mark, "half of a character (`\\ud800` to `\\udfff`); write the whole one")
    if node.style is not None:  # quoted, or a block of text
        return str(node.value)
    try:
        return scalar(node.value)
    except PlainValueError as error:
        raise _at(node.start_mark, f"`{node.value:.60}`: {error}") from None


def _mapping(node: yaml.MappingNode) -> dict[str, JsonValue]:
    result: dict[str, JsonValue] = {}
    for key_node, value_node in node.value:
        key = _value(key_node)
        if not isinstance(key, str):
            raise _at(key_node.start_mark, "a key that is not text; put it in quotes")
        if key in result:
            raise _at(key_node.start_mark, f"{key!r:.60} is written twice; remove one")
        result[key] = _value(value_node)
    return result


def _at(mark: Any, problem: str) -> StackFileError:
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "file"
    return StackFileError([Problem(place, problem)])
