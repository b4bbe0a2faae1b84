"""A stack file, or what Pulumi made of it, to Settings: every problem at once, never another error."""

import re
from collections.abc import Collection, Container, Iterable, Mapping
from itertools import chain
from pathlib import Path
from typing import Any, Final

from pydantic import JsonValue, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from settings.messages import is_misspelt, key_text, problem_of, shown, unknown
from settings.models import Settings
from settings.plain import PlainValueError, configured, load
from settings.problems import Problem, StackFileError
from settings.rules import (
    SET_TOKEN,
    TOKEN_KEY,
    every_value_is_plain,
    is_encrypted,
    roles_fit_the_pattern,
)
from settings.schema import PULUMI_KEYS, at, properties, settings_schema

ENCRYPTED: Final = SecretStr("(encrypted in the stack file)")
"""Stands for a token that only `pulumi up` can decrypt."""

NAMESPACE: Final = "dynamo:"
REGION_KEY: Final = "aws:region"
"""The AWS provider's own."""

MAX_BYTES: Final = 65536
"""A stack file is a few KB; reading a large one would take minutes."""

_STACK_NAME: Final = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
"""What Pulumi takes for a name, but for those that a folder or an option may have."""


def stack_file(stack: str) -> Path:
    """Return where the file of a stack is, seen from the project folder.

    Raises StackFileError for what is no name of a stack, such as `..`: folders are named after stacks, and
    removed with them.
    """
    if not _STACK_NAME.fullmatch(stack):
        wanted = "expected letters, digits, `_`, `.` and `-`, a letter, digit or `_` first"
        raise StackFileError([Problem("stack", wanted, shown(stack))])
    return Path("stacks", f"Pulumi.{stack}.yaml")


def read_stack_file(path: Path) -> Settings:
    """Return what a stack file says; an encrypted token is ENCRYPTED.

    Raises StackFileError with every problem found.
    """
    tree = _config(load(_text(path)))
    if is_encrypted(tree.get(TOKEN_KEY)):
        tree[TOKEN_KEY] = ENCRYPTED
    return _settings(tree)


def from_config(config: Mapping[str, str], secret_keys: Collection[str]) -> Settings:
    """Return what Pulumi's configuration of the running stack says: the same as its stack file does.

    `config` maps `namespace:key` to text (JSON for structures), decrypted; `secret_keys` are those that were
    encrypted, in whole or inside. Raises StackFileError with every problem found.
    """
    tree: dict[str, Any] = {}
    problems: list[Problem] = []
    for name, text in config.items():
        if not name.startswith(NAMESPACE):
            continue  # Pulumi's and the providers' own
        key = name.removeprefix(NAMESPACE)
        if key == TOKEN_KEY:
            tree[key] = SecretStr(text) if text and name in secret_keys else text
        elif name in secret_keys:
            tree[key] = {"secure": ""}
        else:
            try:
                tree[key] = configured(text)
            except PlainValueError as error:
                problems.append(Problem(key_text((key,)), str(error)))
    _take_region(tree, config)
    return _settings(tree, problems)


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        if len(content) <= MAX_BYTES:
            return content.decode()
        reason = f"is larger than {MAX_BYTES} bytes; a stack file is a few thousand"
    except FileNotFoundError:
        others = sorted(path.parent.glob("Pulumi.*.yaml"))
        names = ", ".join(other.name.removeprefix("Pulumi.").removesuffix(".yaml") for other in others)
        reason = f"no such stack file; there are {names or 'none'} in {path.parent}"
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 text at byte {error.start}; save it as UTF-8"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}; expected a readable file"
    raise StackFileError([Problem(path.name, reason)])


def _config(document: JsonValue) -> dict[str, Any]:
    """Return the keys below `dynamo:`, without the prefix."""
    if document is None:
        raise StackFileError([Problem("config", "the file is empty: expected `config:` with `dynamo:` keys")])
    keys = document if isinstance(document, dict) else {}
    strays = [key for key in keys if key not in ("config", *PULUMI_KEYS)]
    if strays:
        raise StackFileError(Problem(key_text((key,)), _stray(key)) for key in strays)
    config = keys.get("config")
    if not isinstance(config, dict):
        raise StackFileError([Problem("config", "missing: expected `config:` with `dynamo:` keys below it")])
    own = [key for key in config if ":" not in key or key.startswith(NAMESPACE)]
    tree = {key.removeprefix(NAMESPACE): config[key] for key in own}
    _take_region(tree, config)
    twice = [key for key in tree if key in config and f"{NAMESPACE}{key}" in config]
    if twice:
        remedy = f"is written twice, with and without `{NAMESPACE}`; remove one"
        raise StackFileError(Problem(key_text((key,)), remedy) for key in twice)
    return tree


def _take_region(tree: dict[str, Any], config: Mapping[str, Any]) -> None:
    """Give a target on AWS the region that the provider's own key names, unless it has one."""
    target, region = tree.get("target"), config.get(REGION_KEY)
    if isinstance(target, dict) and target.get("kind") == "aws" and region is not None:
        tree["target"] = {"region": region, **target}


def _stray(key: str) -> str:
    if key.removeprefix(NAMESPACE) in properties(settings_schema()):
        return "belongs below `config:`; indent it"
    return unknown(key, ("config", *PULUMI_KEYS))


def _settings(tree: dict[str, Any], problems: Iterable[Problem] = ()) -> Settings:
    """Return the settings, or raise everything that is wrong with them."""
    found = {problem.key: problem for problem in problems}
    if not isinstance(tree.get(TOKEN_KEY, ENCRYPTED), SecretStr):
        del tree[TOKEN_KEY]
        found[TOKEN_KEY] = Problem(
            TOKEN_KEY, f"must be encrypted: run {SET_TOKEN}; revoke one that stood here"
        )
    settings, invalid = _validated(tree)
    rules = (every_value_is_plain(tree), invalid, roles_fit_the_pattern(tree))
    for problem in chain.from_iterable(rules):
        if not _is_within(problem.key, found):
            found[problem.key] = problem
    if found or settings is None:
        raise StackFileError(found.values())
    return settings


def _is_within(key: str, found: Container[str]) -> bool:
    """Return whether the key, or one that holds it, has its problem already."""
    return any(key[:end] in found for end, character in enumerate(f"{key}.") if character == ".")


def _validated(tree: Mapping[str, Any]) -> tuple[Settings | None, list[Problem]]:
    try:
        return Settings.model_validate(tree, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, [
            problem_of(detail, tree) for detail in error.errors(include_url=False) if not _misspelt(detail)
        ]


def _misspelt(detail: ErrorDetails) -> bool:
    """Return whether a missing key is there under another name."""
    *section, key = detail["loc"]
    return detail["type"] == "missing" and is_misspelt(str(key), detail["input"], properties(at(section)))
