"""Reading standard input, and what was applied: one clear error, which never repeats the input."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from nodectl.common.errors import BadInputError, NodectlError, NothingAppliedError
from nodectl.common.files import read_if_there
from nodectl.common.layout import Layout
from nodectl.common.redaction import redacted, without_known_secrets
from nodectl.contract.manifest import Manifest

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
        lines = [f"  {_key(p['loc']) or 'all of it'}: {without_known_secrets(p['msg'])}" for p in problems]
        raise BadInputError("\n".join([f"standard input is not {what}:", *lines])) from None


def _key(location: Sequence[int | str]) -> str:
    return ".".join(redacted(str(part)) for part in location)


def applied(layout: Layout) -> Manifest:
    """Return the manifest that a node was converged to last. Raises `NothingAppliedError` without one."""
    found = read_if_there(layout.manifest)
    if found is None:
        raise NothingAppliedError(f"{layout.root}: no manifest was applied here")
    try:
        return Manifest.model_validate_json(found)
    except ValidationError:
        raise NodectlError(
            f"{layout.manifest}: of another release of this project; run `pulumi up`"
        ) from None
