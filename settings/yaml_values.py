"""Read YAML and configuration text as Pulumi does (Go's yaml.v3).

Pulumi's YAML takes other scalars for numbers than PyYAML does (`0x10`, `012`, `1_000`, dates). Here decimal
numbers, `true`, `false` and null are what they look like, other number-like text must be quoted, and all the
rest is text. Anchors, aliases and merge keys (`<<`) mean what they mean to Pulumi. What Pulumi reads
otherwise than a reader would, or not at all, is refused: a file means the same to `scripts/plan` as to
`pulumi up`.
"""

import json
import re
from calendar import monthrange
from collections.abc import Iterator
from typing import Any, Final

import yaml
from pydantic import JsonValue

from nodectl.common.redaction import quoted, redacted
from settings import numbers
from settings.problems import Problem, StackFileError

_NULL: Final = re.compile(r"~|null|Null|NULL|")
_QUOTED: Final = re.compile(r"'(?![<\\])[^']{2,}'")
"""Parts of a file that PyYAML quotes in its errors, such as tags; not signs as `':'` and `'<scalar>'`."""

_BOOL: Final = re.compile(r"true|True|TRUE|false|False|FALSE")
_SURROGATE: Final = re.compile(r"[\ud800-\udfff]")
_EXPONENT: Final = r"([eE][-+]?[0-9]+)?"
_NUMBER: Final = re.compile(r"[-+]?(0|[1-9][0-9]*|\.[0-9]+|[0-9]+\.[0-9]*)" + _EXPONENT)
_ODD_NUMBER: Final = re.compile(
    r"[-+]?(0[xX][0-9a-fA-F]+|0[oO]?[0-7]+|0o[-+][0-7]+|0[bB][01]+|0b[-+][01]+"
    r"|(\.[0-9]+|[0-9]+(\.[0-9]*)?)" + _EXPONENT + ")"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)
"""Other numbers of Pulumi's, after underscores are removed. All begin with a digit, sign or point."""

_DATE: Final = re.compile(
    r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})"
    r"([Tt ][0-9]{1,2}:[0-9]{1,2}:[0-9]{1,2}([.,][0-9]+)?(Z|[-+][0-9]{2}:[0-9]{2})?)?"
)

_MERGE: Final = "<<"
_MAX_NODES: Final = 20_000
"""Most values of a stack file after its aliases are expanded."""


class PlainValueError(ValueError):
    """Text that is not a valid value; the message says what to write instead."""


def scalar(text: str) -> JsonValue:
    """Return the value of a plain (unquoted) scalar: null, a boolean, a number or the text itself.

    Raises PlainValueError for numbers in any other notation, dates, and numbers that cannot be kept exactly.
    """
    if _NULL.fullmatch(text):
        return None
    if _BOOL.fullmatch(text):
        return text.lower() == "true"
    if _NUMBER.fullmatch(text):
        return number(text)
    if _is_odd_number(text) or _is_date(text):
        raise PlainValueError("neither plain text nor a decimal number; put it in quotes if it is text")
    return text


def number(text: str) -> int | float:
    """Return a decimal number that keeps its text.

    Raises PlainValueError if Pulumi would not keep it exactly.
    """
    try:
        return numbers.parse(text)
    except ValueError as error:
        raise PlainValueError(f"{error}; put it in quotes if it is text") from None


def configured(text: str) -> JsonValue:
    """Return the value of one key of Pulumi's configuration: structures are JSON, others plain text.

    Pulumi has no types of top-level values: `40` and `"40"` are equal, and `pulumi config set` rewrites one
    as the other. Raises PlainValueError for text that begins like JSON and is none.
    """
    if not text.startswith(("{", "[")):
        try:
            return scalar(text)
        except PlainValueError:
            return text
    try:
        value: JsonValue = json.loads(text, parse_float=number, parse_int=number, parse_constant=_no_constant)
    except PlainValueError:
        raise
    except (ValueError, RecursionError):
        raise PlainValueError("expected JSON, as Pulumi makes it of a structure") from None
    return value


def load(text: str) -> JsonValue:
    """Return the value of a YAML document; None if it is empty.

    Raises StackFileError, with line and column, for what is not YAML, and for what Pulumi or a reader would
    take for something else: repeated keys, keys that are not text, tags, numbers in odd notations.
    """
    try:
        node = yaml.compose(text, Loader=_Composer)
        return None if node is None else _Reader().value(node)
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise StackFileError([Problem(f"line {line}", "holds a control character; remove it")]) from None
    except yaml.MarkedYAMLError as error:
        raise _error_at(
            error.problem_mark,
            f"not YAML: {_QUOTED.sub('…', error.problem or '')}; check indentation, brackets and quotes",
        ) from None
    except RecursionError:
        raise StackFileError([Problem("file", "is nested too deeply; remove levels")]) from None
    except StackFileError:
        raise
    except (OverflowError, ValueError):  # PyYAML hands any \\U escape to chr()
        raise StackFileError([Problem("file", "holds an escape beyond \\U0010ffff; remove it")]) from None


def _is_odd_number(text: str) -> bool:
    return text[:1] in "+-.0123456789" and bool(_ODD_NUMBER.fullmatch(text.replace("_", "")))


def _is_date(text: str) -> bool:
    match = _DATE.fullmatch(text)
    if not match:
        return False
    year, month, day = (int(match[part]) for part in (1, 2, 3))
    return 1 <= month <= 12 and 1 <= day <= monthrange(year or 4, month)[1]


def _no_constant(name: str) -> JsonValue:
    raise PlainValueError(f"{name} is no number of JSON")


class _Alias(yaml.Node):
    """An alias `*name`, distinct from its target: Pulumi merges an alias of a mapping, not one of a list."""

    def __init__(self, target: yaml.Node, mark: Any) -> None:
        super().__init__("", target, mark, mark)


class _Composer(yaml.BaseLoader):
    """PyYAML without tags, with aliases as nodes of their own, and with tabs between tokens, as in Go."""

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        event = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self.anchors:
                raise _error_at(
                    event.start_mark,
                    "of the aliases (`*name`), this one stands for nothing; put `&name` before what it "
                    "means, further up, or write the values out",
                )
            target = super().compose_node(parent, index)
            return None if target is None else _Alias(target, event.start_mark)
        if event.tag is not None:
            raise _error_at(event.start_mark, "tags (`!name`) are not read; remove it")
        self.anchors.pop(event.anchor, None)  # it may be given anew
        return super().compose_node(parent, index)

    def scan_to_next_token(self) -> None:
        super().scan_to_next_token()
        while self.peek() == "\t" and (self.flow_level or not self.allow_simple_key):
            self.forward()
            super().scan_to_next_token()

    def scan_directive_name(self, start_mark: Any) -> Any:
        name = super().scan_directive_name(start_mark)  # type: ignore[no-untyped-call]
        if name not in ("YAML", "TAG"):
            raise _error_at(start_mark, "Pulumi knows no such directive (`%NAME`); remove the line")
        return name

    def process_directives(self) -> Any:
        token = self.peek_token()  # type: ignore[no-untyped-call]
        directives = super().process_directives()  # type: ignore[no-untyped-call]
        if self.yaml_version not in (None, (1, 1)):
            raise _error_at(token.start_mark, "Pulumi reads YAML 1.1 only; remove the line `%YAML`")
        return directives


class _Reader:
    """Converts nodes to values and counts them, since aliases can expand a small file to a large one."""

    def __init__(self) -> None:
        self._nodes = 0
        self._open: set[int] = set()
        """Nodes in progress: an alias of one of them would be endless."""

    def value(self, node: Any) -> JsonValue:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise _error_at(
                node.start_mark, f"more than {_MAX_NODES} values with aliases written out; remove some"
            )
        if isinstance(node, _Alias):
            return self._of_alias(node)
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        self._open.add(id(node))
        try:
            if isinstance(node, yaml.MappingNode):
                return self._mapping(node)
            return [self.value(item) for item in node.value]
        finally:
            self._open.discard(id(node))

    def _of_alias(self, alias: _Alias) -> JsonValue:
        if id(alias.value) in self._open:
            raise _error_at(alias.start_mark, "an alias of what it is part of; write the values out")
        return self.value(alias.value)

    def _mapping(self, node: yaml.MappingNode) -> dict[str, JsonValue]:
        result: dict[str, JsonValue] = {}
        merges = []
        for key_node, value_node in node.value:
            merges += [value_node] if _is_merge(key_node) else []
            key = _MERGE if _is_merge(key_node) else self.value(key_node)
            if not isinstance(key, str):
                raise _error_at(key_node.start_mark, "a key that is not text; put it in quotes")
            if key == _MERGE and not _is_merge(key_node):
                raise _error_at(
                    key_node.start_mark, "`<<` is no key, since Pulumi loses its quotes; remove it"
                )
            if key in result or len(merges) > 1:
                raise _error_at(key_node.start_mark, f"{quoted(key)} is written twice; remove one")
            if not _is_merge(key_node):
                result[key] = self.value(value_node)
        for source in _merged(merges):
            merged = self.value(source)
            if not isinstance(merged, dict):
                raise _error_at(
                    source.start_mark, "merged by `<<`, but no mapping; name one, or a list of some"
                )
            result = {**merged, **result}
        return result


def _is_merge(key: Any) -> bool:
    return isinstance(key, yaml.ScalarNode) and key.value == _MERGE and key.style is None


def _merged(values: list[Any]) -> Iterator[Any]:
    """Yield the values that `<<` merges: a mapping, or each item of a list."""
    for value in values:
        if isinstance(value, yaml.SequenceNode):
            yield from value.value
        else:
            yield value


def _scalar(node: yaml.ScalarNode) -> JsonValue:
    if _SURROGATE.search(node.value):
        raise _error_at(node.start_mark, "half of a character (`\\ud800` to `\\udfff`); write the whole one")
    if node.style is not None:  # quoted, or a block of text
        return str(node.value)
    try:
        return scalar(node.value)
    except PlainValueError as error:
        raise _error_at(node.start_mark, f"`{redacted(node.value):.60}`: {error}") from None


def _error_at(mark: Any, problem: str) -> StackFileError:
    place = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "file"
    return StackFileError([Problem(place, problem)])
