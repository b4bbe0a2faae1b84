"""Which flags the locked Dynamo and vLLM have, so that a wrong one is told before anything starts.

`known.json` is generated from their own parsers by `scripts/generate-flags`: module, flag, what it takes
(`nothing`, `value`, `optional`, `values`), whether it can be switched `off` by `--no-…`, and its `choices`.
"""

import json
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any

from nodectl.manifest import FlagValue


def problems(module: str, flags: Mapping[str, FlagValue]) -> list[str]:
    """Return one line for each flag that `module` would not accept: flag, value and remedy."""
    known = _known()[module]
    found = (_problem(module, name, value, known) for name, value in flags.items())
    return [problem for problem in found if problem]


@cache
def _known() -> dict[str, dict[str, dict[str, Any]]]:
    text = Path(__file__).with_name("known.json").read_text(encoding="utf-8")
    return json.loads(text)  # type: ignore[no-any-return]


def _problem(module: str, name: str, value: FlagValue, known: Mapping[str, Mapping[str, Any]]) -> str | None:
    flag = known.get(name)
    if flag is None:
        return f"`{name}`: {module} has no such flag{_nearest(name, known)}"
    if value is False:
        return None if flag.get("off") else f"`{name}: false`: there is no --no-{name}; leave it out"
    if flag["takes"] == "nothing":
        return None if value is True else f"`{name}: {_shown(value)}`: takes no value; use true"
    if value is True:
        return None if flag["takes"] == "optional" else f"`{name}: true`: takes a value, not a switch"
    return _wrong_value(name, value, flag)


def _wrong_value(name: str, value: FlagValue, flag: Mapping[str, Any]) -> str | None:
    if isinstance(value, list) and flag["takes"] != "values":
        return f"`{name}: {_shown(value)}`: takes one value, not a list"
    if isinstance(value, list) and (
        not value or any(isinstance(item, str) and item.startswith("-") for item in value)
    ):
        return f"`{name}: {_shown(value)}`: expected values, none of which begins like a flag"
    choices = flag.get("choices")
    given = value if isinstance(value, list) else [value]
    if choices and not {str(item) for item in given} <= set(choices):
        return f"`{name}: {_shown(value)}`: expected {' or '.join(choices)}"
    return None


def _nearest(name: str, known: Mapping[str, Any]) -> str:
    plain = name.lstrip("-").replace("_", "-").lower()
    matches = get_close_matches(plain, known, n=3)
    return f"; did you mean {' or '.join(f'`{match}`' for match in matches)}?" if matches else ""


def _shown(value: FlagValue) -> str:
    text = json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."
