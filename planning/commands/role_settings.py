"""Judge the flags and environment that a role passes on to its module, by name and value."""

from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from nodectl.common.redaction import shown
from nodectl.contract.manifest import FlagValue
from planning.commands import flags as known_flags
from planning.commands import reserved
from planning.commands.arguments import FRONTEND, WORKER
from planning.commands.environment import wrong_value
from planning.roles import engine_kind, worker_roles
from settings.messages import key_text
from settings.models import FrontendSettings, RoleSettings, Settings
from settings.problems import Problem

_OWN_NAMES: Final = ("DYN_", "VLLM_")
"""Prefixes of names that only Dynamo or vLLM read: one that they do not know does nothing, unnoticed."""

_ALIKE: Final = 0.9


def problems(settings: Settings) -> Iterator[Problem]:
    """Find flags and environment names that planning owns, and what the modules do not take."""
    yield from _of_role("frontend", FRONTEND, settings.roles.frontend)
    for name, role in worker_roles(settings):
        yield from _of_role(name, WORKER[engine_kind(settings)], role)


def _of_role(name: str, module: str, role: RoleSettings | FrontendSettings) -> Iterator[Problem]:
    role_flags: dict[str, FlagValue] = {}
    for flag, value in role.flags.items():
        key, canonical_name = key_text(("roles", name, "flags", flag)), known_flags.meant(module, flag)
        if reason := _owned(module, canonical_name):
            yield Problem(key, reason, shown(value))
        elif canonical_name != flag:
            yield Problem(
                key,
                f"expected a flag name of a-z, 0-9 and -, without leading dashes; write `{canonical_name}`",
            )
        else:
            role_flags[flag] = value
    for message in known_flags.problems(module, role_flags):
        yield Problem(f"roles.{name}.flags", message)
    yield from _same_flags(name, module, role_flags)
    for variable, text in role.env.items():
        if reason := _refused(name, module, variable) or wrong_value(variable, text):
            yield Problem(f"roles.{name}.env.{variable}", reason, shown(text))


def _owned(module: str, flag: str) -> str | None:
    """Return why a flag may not be given, under whichever of its names."""
    reasons = reserved.FLAGS[module]
    if module == WORKER["mocker"] and flag.removeprefix("no-") not in known_flags.known(module):
        return reserved.STACK_KEYS.get(flag)
    names = known_flags.spellings(module, flag) + known_flags.spellings(module, flag.removeprefix("no-"))
    if reason := next((reasons[name] for name in names if name in reasons), None):
        return reason
    if module != FRONTEND and any(known_flags.known(module).get(name, {}).get("routes") for name in names):
        return reserved.routing(flag.removeprefix("no-"))
    return None


def _same_flags(name: str, module: str, flags: dict[str, FlagValue]) -> Iterator[Problem]:
    """Find flags that are given twice, under two of their names."""
    for flag in flags:
        others = [
            other for other in known_flags.spellings(module, flag)[1:] if other in flags and other > flag
        ]
        for other in others:
            yield Problem(f"roles.{name}.flags.{other}", f"is another name of `{flag}`; write one of them")


def _refused(role: str, module: str, variable: str) -> str | None:
    """Return why an environment name may not be given."""
    if reason := reserved.refused(variable):
        return reason
    for section, owner in ((role, module), ("frontend", FRONTEND)):
        if flag := known_flags.variables(owner).get(variable.upper()):
            return _owned(owner, flag) or f"write `{flag}` below `roles.{section}.flags`"
    return _misspelt(variable)


def _misspelt(variable: str) -> str | None:
    known_names = known_flags.names()
    if variable in known_names or not variable.startswith(_OWN_NAMES):
        return None
    if any(variable.startswith(name) for name in known_names if name.endswith("_")):
        return None
    suggestions = get_close_matches(variable, known_names, n=1, cutoff=_ALIKE)
    return f"nothing reads it; did you mean {suggestions[0]}?" if suggestions else None
