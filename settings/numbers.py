"""Numbers that keep their text: `12.10` is shown, and passed on as text, as `12.10`.

Pulumi keeps only the value (`12.1`); the text comes from the stack file (`settings.loader`).
"""

import json
import re
from typing import Final

from pydantic import JsonValue

MAX_WHOLE: Final = 2**63 - 1
"""Above this, and below its negative, Pulumi no longer keeps a whole number exact."""

_WHOLE: Final = re.compile(r"[-+]?[0-9]+")


class WrittenInt(int):
    """A whole number and its text, which may be `4.0` or `1e3`."""

    text: str

    def __str__(self) -> str:
        return self.text


class WrittenFloat(float):
    """A number that is not whole, and its text."""

    text: str

    def __str__(self) -> str:
        return self.text


def parse(text: str) -> WrittenInt | WrittenFloat:
    """Return a decimal number, whole where it is whole (Pulumi makes no difference between 1 and 1.0).

    Raises ValueError for numbers that Pulumi does not keep.
    """
    value = int(text) if _WHOLE.fullmatch(text) and len(text) <= _DIGITS else float(text)
    if abs(value) > MAX_WHOLE:  # Pulumi writes such a float as a whole number, and reads none of that size
        raise ValueError(f"number too large to be kept exactly, expected at most {MAX_WHOLE}")
    number: WrittenInt | WrittenFloat
    number = WrittenFloat(value) if isinstance(value, float) and not value.is_integer() else WrittenInt(value)
    number.text = text
    return number


_DIGITS: Final = 40
"""Numbers with more digits are out of range in any case, and slow to parse."""


def plain(value: object) -> JsonValue:
    """Return a value without texts, for JSON: what was written with a point or an exponent is a float."""
    match value:
        case dict():
            return {str(key): plain(item) for key, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case WrittenInt():
            return int(value) if _WHOLE.fullmatch(value.text) else float(value)
        case WrittenFloat():
            return float(value)
        case _:
            return value  # type: ignore[return-value]


def text_only(value: object) -> str | None:
    """Return a number's text if it differs from how Pulumi writes the value, such as `1.10`; else None."""
    if isinstance(value, WrittenInt | WrittenFloat) and value.text != as_pulumi_writes(value):
        return value.text
    return None


def as_pulumi_writes(value: object) -> str:
    """Return a number as Pulumi writes it when it rewrites the file."""
    return json.dumps(value)
