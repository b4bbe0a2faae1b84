"""Reading what comes on standard input: one clear error, which never repeats the input."""

import json
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from nodectl.errors import BadInputError

T = TypeVar("T")


def document(text: str, what: str) -> Any:
    """Return the JSON document in `text`; `what` names it in errors (`a manifest`)."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"standard input: expected {what} as JSON: {error}") from None


def checked(kind: TypeAdapter[T], found: Any, what: str) -> T:
    """Return `found` as the type that it must be, or name every key that is wrong."""
    try:
        return kind.validate_python(found)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        lines = [f"  {'.'.join(map(str, p['loc'])) or 'all of it'}: {p['msg']}" for p in problems]
        raise BadInputError("\n".join([f"standard input is not {what}:", *lines])) from None
