"""Flags of the locked Dynamo and vLLM and what they take, so that wrong ones are reported beforehand.

`known.json` is generated from the modules themselves by `scripts/generate-flags`: module, flag, and
- `takes`: `nothing`, `value`, `optional`, `values`; `off`: `--no-…` switches it off; `also`: its other names,
  and `short` those with one dash;
- `choices`, or `accepts`: the forms that a value may have (`_FORMS`), and `least`, `above`, `most`, `below`;
- `env`: the environment name that Dynamo takes its default from; `routes`: it says how requests are routed.

`names.json` has the environment names that they read (`planning.environment`).
"""

import json
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from functools import cache
from pathlib import Path
from typing import Any, Final, cast

from nodectl.common.redaction import redacted, shown
from nodectl.contract.manifest import FlagValue
from settings.numbers import WrittenFloat, WrittenInt, plain, text_only

Flag = Mapping[str, Any]

_FORMS: Final[Mapping[str, tuple[str, re.Pattern[str]]]] = {
    "integer": ("a whole number", re.compile(r"-?[0-9]+")),
    "number": ("a number", re.compile(r"-?([0-9]+(\.[0-9]*)?|\.[0-9]+)([eE][-+]?[0-9]+)?")),
    "size": ("a size such as 8k", re.compile(r"-?[0-9]+(\.[0-9]+)?[kKmMgGtT]i?")),
    "boolean": ("true or false", re.compile(r"true|false", re.IGNORECASE)),
    "auto": ("auto", re.compile(r"auto")),
    "None": ("None", re.compile(r"None")),
}
"""Form of a value -> what it is called, and how it is written; mappings and lists are JSON."""

_JSON: Final[Mapping[str, type]] = {"mapping": dict, "list": list}
_OWNERS: Final = {
    "dynamo.vllm": "is a flag of vLLM; write `engine: vllm`",
    "dynamo.mocker": "is a flag of the simulated engine; write `engine: mocker`",
    "dynamo.frontend": "is a flag of the frontend; write it below `roles.frontend.flags`",
}
"""Module -> what to say of its flags where they are given to another one."""

_SIGNS: Final = {"least": "at least", "above": "above", "most": "at most", "below": "below"}


def problems(module: str, flags: Mapping[str, FlagValue]) -> list[str]:
    """Return one line for each flag that `module` would not accept: flag, value and remedy."""
    known_flags = known(module)
    messages = (_problem(module, name, value, known_flags) for name, value in flags.items())
    return [message for message in messages if message]


def known(module: str) -> Mapping[str, Flag]:
    """Return the flags of a module."""
    flags: Mapping[str, Flag] = _read("known.json")[module]
    return flags


def spellings(module: str, name: str) -> list[str]:
    """Return a flag's name and its other names."""
    return [name, *known(module).get(name, {}).get("also", [])]


def meant(module: str, name: str) -> str:
    """Return the flag that a name in any spelling stands for: `-tp`, `--max_model_len=8`, `maxModelLen`."""
    stem = re.split(r"[= ]", name.lstrip("-"), maxsplit=1)[0]
    for flag, description in (*known(module).items(), *known("dynamo.vllm").items()):
        if stem in description.get("short", ()):
            return flag
    kebab_case = stem if stem.isupper() else re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", stem)
    return re.sub(r"[^a-z0-9]+", "-", kebab_case.lower()).strip("-")


def written(module: str, name: str, value: FlagValue) -> tuple[str, FlagValue]:
    """Return a flag as it is to be written: `no-x: true` stands for `x: false`."""
    base_name = name.removeprefix("no-")
    flag = known(module).get(base_name)
    if name in known(module) or not flag or not flag.get("off") or value is not True:
        return name, value
    return base_name, False


def as_written(module: str, flags: Mapping[str, FlagValue]) -> dict[str, FlagValue]:
    """Return flags with plain values; a number whose text says more, such as `1.10`, as text where it fits.

    What takes a whole number alone gets one, however it is written (`8e3`).
    """
    return {name: cast("FlagValue", _argument(module, name, value)) for name, value in flags.items()}


def _argument(module: str, name: str, value: object) -> object:
    if isinstance(value, list):
        return [_argument(module, name, item) for item in value]
    if not isinstance(value, WrittenInt | WrittenFloat):
        return plain(value)
    text, flag = text_only(value), known(module).get(name, {})
    if text and _fits(text, flag):
        return text
    return int(value) if isinstance(value, WrittenInt) else float(value)


@cache
def variables(module: str) -> Mapping[str, str]:
    """Return the flags of a module by the environment name that their default comes from."""
    return {flag["env"]: name for name, flag in known(module).items() if "env" in flag}


@cache
def names() -> frozenset[str]:
    """Return the environment names that Dynamo and vLLM read; those that end with `_` are only beginnings."""
    return frozenset(name for group in _read("names.json").values() for name in group)


@cache
def _read(file: str) -> dict[str, Any]:
    return json.loads(Path(__file__).with_name(file).read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def _problem(module: str, name: str, value: FlagValue, known_flags: Mapping[str, Flag]) -> str | None:
    flag = known_flags.get(name)
    if flag is None:
        return f"`{redacted(name)}`{_unknown(module, name, value, known_flags)}"
    if value is False:
        return None if flag.get("off") else f"`{name}: false`: there is no --no-{name}; leave it out"
    if flag["takes"] == "nothing":
        return None if value is True else f"`{name}: {shown(value)}`: takes no value; use true"
    if value is True:
        return None if flag["takes"] == "optional" else f"`{name}: true`: takes a value, not a switch"
    return _wrong_value(name, value, flag)


def _unknown(module: str, name: str, value: FlagValue, known_flags: Mapping[str, Flag]) -> str:
    base_name = name.removeprefix("no-")
    if known_flags.get(base_name, {}).get("off"):
        correction = "false" if value is True else "true or false"
        return f": write `{base_name}: {correction}`"
    if other_module := next(
        (owner for owner in _OWNERS if owner != module and base_name in known(owner)), None
    ):
        return f" {_OWNERS[other_module]} or remove it"
    return f": {module} has no such flag{_nearest(name, known_flags)}"


def _wrong_value(name: str, value: FlagValue, flag: Flag) -> str | None:
    if isinstance(value, list) and flag["takes"] != "values" and "list" not in flag.get("accepts", ()):
        return f"`{name}: {shown(value)}`: takes one value, not a list"
    if isinstance(value, list) and (
        not value or any(isinstance(item, str) and item.startswith("-") for item in value)
    ):
        return f"`{name}: {shown(value)}`: expected values, none of which begins like a flag"
    if value == "--":
        return f"`{name}: {shown(value)}`: argparse drops it before {name} is read; take another value"
    values: Sequence[Any] = value if isinstance(value, list) and flag["takes"] == "values" else [value]
    wrong_item = next((item for item in values if not _fits(item, flag)), None)
    return None if wrong_item is None else f"`{name}: {shown(value)}`: expected {_expected(flag)}"


def _fits(value: Any, flag: Flag) -> bool:
    text = _text(value)
    if choices := flag.get("choices"):
        return text in choices
    accepts = flag.get("accepts")
    if accepts is None:
        return True
    if _is_json(value, accepts):
        return True
    forms = [form for form in accepts if form in _FORMS and _FORMS[form][1].fullmatch(text)]
    if not forms:
        return False
    return not {"integer", "number"} & set(forms) or _within(float(text), flag)


def _is_json(value: Any, accepts: Sequence[str]) -> bool:
    """Return whether a value is a mapping or list where the flag takes one, written out or as text."""
    if isinstance(value, str) and value.startswith(("{", "[")):
        try:
            value = json.loads(value)
        except ValueError:
            return False
    return any(isinstance(value, kind) for form, kind in _JSON.items() if form in accepts)


def _within(number: float, flag: Flag) -> bool:
    return (
        number >= flag.get("least", number)
        and number <= flag.get("most", number)
        and ("above" not in flag or number > flag["above"])
        and ("below" not in flag or number < flag["below"])
    )


def _expected(flag: Flag) -> str:
    if choices := flag.get("choices"):
        return " or ".join(choices)
    accepts = [form for form in flag["accepts"] if form != "integer" or "number" not in flag["accepts"]]
    forms = " or ".join(_FORMS[form][0] if form in _FORMS else f"a {form}" for form in accepts)
    bounds = " and ".join(f"{words} {flag[key]}" for key, words in _SIGNS.items() if key in flag)
    return f"{forms}, {bounds}" if bounds else forms


def _text(value: Any) -> str:
    """Return a value as it reaches the command line."""
    return value if isinstance(value, str) else json.dumps(value)


def _nearest(name: str, known_flags: Mapping[str, Flag]) -> str:
    spelling = name.lstrip("-").replace("_", "-").lower()
    matches = get_close_matches(spelling, known_flags, n=3)
    return f"; did you mean {' or '.join(f'`{match}`' for match in matches)}?" if matches else ""
