"""JSON to the frozen dataclasses of the contract and back, strictly, with the standard library alone.

Both sides use it: planning where it writes a specification, and a node where it reads one, whether its Python
has packages or not. A key is the name of a field. A field has the types that JSON has, `Literal`, another
dataclass, or a union: with None, of a flag's values, or of dataclasses that each say in `kind` which they
are. A type may be `Annotated` with rules (`Rule`); `object` is any JSON.
"""

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from nodectl.common.errors import BadInputError
from nodectl.common.redaction import redacted, shown

T = TypeVar("T")

SPARSE: Final = {"sparse": True}
"""Metadata of a field that is left out of JSON while it is None or empty: older releases do not know it."""

STDIN: Final = "standard input"

_TAG: Final = "kind"
_WRONG: Final = object()
_DEEPEST: Final = 64
"""Levels of lists and objects in a value of any form: more are no setting, and exhaust Python's stack."""

_PLAIN: Final[Mapping[Any, tuple[str, tuple[type, ...]]]] = {
    bool: ("true or false", (bool,)),
    int: ("a whole number", (int,)),
    float: ("a number", (int, float)),
    str: ("text", (str,)),
}
"""Type -> its name in errors, and the types that JSON's values of it have in Python."""


@dataclass(frozen=True)
class Rule:
    """A condition on a value of a type: what is expected, in words that follow `expected`, and the check."""

    expected: str
    holds: Callable[[Any], bool]


def document(text: str, label: str, source: str = STDIN) -> Any:
    """Return the JSON document in `text`; `label` and `source` name it in errors (`a manifest`, a file)."""
    try:
        return json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"{source}: expected {label} as JSON: {error}") from None


def decode(kind: type[T], content: object, label: str, source: str = STDIN) -> T:
    """Return a JSON document as the type that it must be.

    Raises `BadInputError` with the path of everything that is wrong, and without values that may be secrets.
    """
    value, problems = _decoded(kind, content)
    if problems:
        lines = [f"  {problem}" for problem in problems]
        raise BadInputError("\n".join([f"{source} is not {label}:", *lines]))
    return value


def read(kind: type[T], text: str, label: str, source: str = STDIN) -> T:
    """Return the JSON in `text` as the type that it must be. Raises `BadInputError`."""
    return decode(kind, document(text, label, source), label, source)


def encode(value: object) -> Any:
    """Return a value of the contract as plain JSON, its keys in the order of the fields."""
    if is_dataclass(value):
        return {
            field.name: encode(content)
            for field in fields(value)
            if (content := getattr(value, field.name)) or not field.metadata.get("sparse")
        }
    if isinstance(value, Mapping):
        return {key: encode(content) for key, content in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [encode(item) for item in value]
    return value


def written(value: object, *, indent: int | None = None) -> str:
    """Return a value of the contract as JSON text. Raises `ValueError` where `decode` would not take it."""
    content = encode(value)
    _, problems = _decoded(type(value), content)
    if problems:
        raise ValueError(f"{type(value).__name__}: {'; '.join(problems)}")
    separators = (",", ":") if indent is None else None
    return json.dumps(content, ensure_ascii=False, allow_nan=False, indent=indent, separators=separators)


class _Place:
    """A place in a document, and the problems of the whole document."""

    def __init__(self, problems: list[str], *path: str) -> None:
        self._path = path
        self.problems = problems

    def below(self, key: object) -> "_Place":
        return _Place(self.problems, *self._path, str(key))

    def alone(self) -> "_Place":
        """Return the same place with problems of its own."""
        return _Place([], *self._path)

    def wrong(self, message: str) -> Any:
        # a key may be a secret that was written in the wrong column
        path = ".".join(redacted(key) for key in self._path) or "all of it"
        self.problems.append(f"{path}: {message}")
        return _WRONG


def _decoded(kind: type[T], content: object) -> tuple[T, list[str]]:
    """Return the value, which is of use only where there are no problems, and the problems."""
    problems: list[str] = []
    return _value(kind, content, _Place(problems)), problems


def _value(kind: Any, content: Any, place: _Place) -> Any:
    if is_dataclass(kind):
        return _record(kind, content, place)
    if form := _FORMS.get(get_origin(kind)):
        return form(get_args(kind), content, place)
    if kind is object:
        return content if _is_json(content, _DEEPEST) else place.wrong("expected JSON of fewer levels")
    name, types = _PLAIN[kind]
    fits = isinstance(content, types) and (kind is bool or not isinstance(content, bool))
    return content if fits and _is_json(content, 0) else place.wrong(f"expected {name}")


def _record(kind: Any, content: Any, place: _Place) -> Any:
    if not isinstance(content, dict):
        return place.wrong(f"expected a JSON object, got {type(content).__name__}")
    hints = _hints(kind)
    for key in content:
        if key not in hints:
            place.below(key).wrong("unknown key")
    values = {}
    for field in fields(kind):
        if field.name in content:
            values[field.name] = _value(hints[field.name], content[field.name], place.below(field.name))
        elif field.default is MISSING and field.default_factory is MISSING:
            values[field.name] = place.below(field.name).wrong("missing")
    return _WRONG if any(value is _WRONG for value in values.values()) else kind(**values)


def _annotated(arguments: tuple[Any, ...], content: Any, place: _Place) -> Any:
    kind, *rules = arguments
    value = _value(kind, content, place)
    for rule in rules:
        if value is not _WRONG and not rule.holds(value):
            return place.wrong(f"expected {rule.expected}")
    return value


def _literal(choices: tuple[Any, ...], content: Any, place: _Place) -> Any:
    if any(content == choice and type(content) is type(choice) for choice in choices):
        return content
    return place.wrong(f"{shown(content) or 'none'} is unknown; use one of {', '.join(map(str, choices))}")


def _list(arguments: tuple[Any, ...], content: Any, place: _Place) -> Any:
    if not isinstance(content, list):
        return place.wrong("expected a list")
    return [_value(arguments[0], item, place.below(number)) for number, item in enumerate(content)]


def _mapping(arguments: tuple[Any, ...], content: Any, place: _Place) -> Any:
    if not isinstance(content, dict):
        return place.wrong(f"expected a JSON object, got {type(content).__name__}")
    keys, values = arguments
    return {
        _value(keys, key, place.below(key)): _value(values, item, place.below(key))
        for key, item in content.items()
    }


def _union(kinds: tuple[Any, ...], content: Any, place: _Place) -> Any:
    if content is None and NoneType in kinds:
        return None
    first, *others = kinds = tuple(kind for kind in kinds if kind is not NoneType)
    if not others:
        return _value(first, content, place)
    if is_dataclass(first):
        return _tagged(kinds, content, place)
    for kind in kinds:
        trial = place.alone()
        value = _value(kind, content, trial)
        if not trial.problems:
            return value
    return place.wrong("expected true, false, a number, text, a list or a JSON object")


def _tagged(kinds: tuple[Any, ...], content: Any, place: _Place) -> Any:
    """Return a dataclass of several: that which has the document's `kind`."""
    kinds_by_tag = {tag: kind for kind in kinds for tag in get_args(_hints(kind)[_TAG])}
    tag = content.get(_TAG) if isinstance(content, dict) else None
    if not isinstance(tag, str) or tag not in kinds_by_tag:
        return _literal(tuple(kinds_by_tag), tag, place.below(_TAG))
    return _record(kinds_by_tag[tag], content, place)


_FORMS: Final[Mapping[Any, Callable[[tuple[Any, ...], Any, _Place], Any]]] = {
    Annotated: _annotated,
    Literal: _literal,
    list: _list,
    dict: _mapping,
    Union: _union,
    UnionType: _union,
}


@functools.cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind, include_extras=True)


def _is_json(content: Any, levels: int) -> bool:
    """Return whether a value has at most so many levels, and text that can be written to a file."""
    if isinstance(content, str):
        return content.isascii() or not any("\ud800" <= character <= "\udfff" for character in content)
    if isinstance(content, list):
        return levels > 0 and all(_is_json(item, levels - 1) for item in content)
    if isinstance(content, dict):
        parts = (item for pair in content.items() for item in pair)
        return levels > 0 and all(_is_json(item, levels - 1) for item in parts)
    return content is None or isinstance(content, bool | int | float)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no number of JSON")
