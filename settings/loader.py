"""Load Settings from a stack file or from Pulumi's configuration; all problems are raised at once."""

import json
import re
from collections.abc import Collection, Container, Iterable, Mapping
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any, Final

from pydantic import JsonValue, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from nodectl.common.files import read_regular
from nodectl.common.redaction import shown
from settings.configuration import NAMESPACE, REGION_KEY, own_keys, same, value_of
from settings.cross_checks import (
    every_value_is_plain,
    one_region,
    roles_fit_the_pattern,
    secrets_of_providers,
)
from settings.encrypted import TOKEN_KEY, clear_problem, exposed, token_problem
from settings.messages import is_misspelt, key_text, problem_of, unknown
from settings.models import Settings
from settings.problems import Problem, StackFileError
from settings.schema import PULUMI_KEYS, at, properties, settings_schema
from settings.yaml_values import PlainValueError, configured, load

ENCRYPTED: Final = SecretStr("(encrypted in the stack file)")
"""Placeholder for a token that only `pulumi up` can decrypt."""

MAX_BYTES: Final = 262_144
"""A stack file is a few KB, one that lists 2,048 machines 120; reading a much larger one takes minutes."""

MAX_CONFIG_BYTES: Final = 120_000
"""Linux limits an environment variable to 128 KiB; aliases can make a small file large."""

_STACK_NAME: Final = re.compile(r"\w[\w.-]{0,99}", re.ASCII)
"""Names that Pulumi accepts, without those that could be a folder or an option."""


def stack_file(stack: str) -> Path:
    """Return the path of a stack's file, relative to the project folder.

    Raises StackFileError for an invalid name, such as `..`: folders are named after stacks and removed with
    them.
    """
    if not _STACK_NAME.fullmatch(stack):
        rule = "expected letters, digits, `_`, `.` and `-`, a letter, digit or `_` first"
        raise StackFileError([Problem("stack", rule, shown(stack))])
    return Path("stacks", f"Pulumi.{stack}.yaml")


def read_stack_file(path: Path) -> Settings:
    """Return the settings of a stack file; an encrypted token is ENCRYPTED.

    Raises StackFileError with every problem found.
    """
    content = document(path)
    config = _config(content)
    tree, problems = own_keys(config)
    if TOKEN_KEY in tree and (problem := token_problem(tree[TOKEN_KEY], content)):
        problems.append(Problem(TOKEN_KEY, problem))
        del tree[TOKEN_KEY]
    for key, value in tree.items():
        if key == TOKEN_KEY:
            tree[key] = ENCRYPTED
            continue
        try:
            tree[key] = value_of(value)
        except PlainValueError as error:
            problems.append(Problem(key_text((key,)), str(error)))
    return _settings(tree, config, problems)


def document(path: Path) -> Mapping[str, Any]:
    """Return the content of a stack file, including Pulumi's own keys.

    Raises StackFileError if it is not YAML, not a regular file, or too large.
    """
    content = load(_text(path))
    if content is None:
        raise StackFileError([Problem("config", "the file is empty: expected `config:` with `dynamo:` keys")])
    return content if isinstance(content, dict) else {}


def from_config(
    config: Mapping[str, str], secret_keys: Collection[str], path: Path | None = None
) -> Settings:
    """Return the settings of Pulumi's configuration of the running stack, equal to those of its stack file.

    `config` maps `namespace:key` to text (JSON for structures), decrypted; `secret_keys` are those that were
    encrypted, in whole or inside. Values that are equal in the file at `path` are taken from there, since
    Pulumi keeps `1.1` of `1.10`. Raises StackFileError with every problem found.
    """
    file_keys, _ = own_keys(_config(document(path))) if path and path.exists() else ({}, [])
    config_keys, problems = own_keys(config)
    tree: dict[str, Any] = {}
    for key, text in config_keys.items():
        if key == TOKEN_KEY:
            encrypted = f"{NAMESPACE}{key}" in secret_keys
            if problem := clear_problem(text) if encrypted else token_problem(text, {}):
                problems.append(Problem(TOKEN_KEY, problem))
            else:
                tree[key] = SecretStr(text)
        elif f"{NAMESPACE}{key}" in secret_keys:
            tree[key] = {"secure": ""}
        else:
            try:
                tree[key] = _as_written(configured(text), file_keys.get(key))
            except PlainValueError as error:
                problems.append(Problem(key_text((key,)), str(error)))
    clear = {name: text for name, text in config.items() if name not in secret_keys}
    return _settings(tree, clear, problems)


def _as_written(value: JsonValue, file_value: Any) -> JsonValue:
    """Return the stack file's form of a value, unless Pulumi has another value."""
    file_meaning = value_of(file_value)
    return file_meaning if same(file_meaning, value) else value


def _text(path: Path) -> str:
    try:
        content = read_regular(path, MAX_BYTES)
        if len(content) <= MAX_BYTES:
            return content.decode()
        reason = f"is larger than {MAX_BYTES} bytes; a stack file is a few thousand"
    except FileNotFoundError:
        stack_files = sorted(path.parent.glob("Pulumi.*.yaml"))
        names = ", ".join(file.name.removeprefix("Pulumi.").removesuffix(".yaml") for file in stack_files)
        reason = f"no such stack file; there are {names or 'none'} in {path.parent}"
    except UnicodeDecodeError as error:
        reason = f"is not UTF-8 text at byte {error.start}; save it as UTF-8"
    except OSError as error:
        reason = f"cannot be read: {error.strerror}; expected a readable file"
    raise StackFileError([Problem(key_text((path.name,)), reason)])


def _config(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys below `config:`."""
    strays = [key for key in keys if key not in ("config", *PULUMI_KEYS)]
    if strays:
        raise StackFileError(Problem(key_text((key,)), _stray(key)) for key in strays)
    config = keys.get("config")
    if not isinstance(config, dict):
        raise StackFileError([Problem("config", "missing: expected `config:` with `dynamo:` keys below it")])
    if (size := _environment_bytes(config)) > MAX_CONFIG_BYTES:
        raise StackFileError(
            [Problem("config", f"is {size} bytes to Pulumi, expected at most {MAX_CONFIG_BYTES}; shorten it")]
        )
    return config


def _environment_bytes(config: Mapping[str, Any]) -> int:
    """Return the approximate size of the variable in which Pulumi passes the configuration to the program."""
    values = {key: json.dumps(value, ensure_ascii=False) for key, value in config.items()}
    text = json.dumps(values, ensure_ascii=False)
    return len(text.encode(errors="replace")) + 6 * sum(map(text.count, "<>&"))


def exposed_secrets(path: Path, settings: Settings) -> list[Problem]:
    """Return the problem of secrets that everybody could decrypt, for a stack file that was already read."""
    return exposed(settings.target.kind, document(path), held=settings.hugging_face_token is not None)


def _take_region(tree: dict[str, Any], region: Any) -> bool:
    """Set an AWS target's region from the provider's key, unless it has one; return whether it did."""
    target = tree.get("target")
    if not isinstance(target, dict) or target.get("kind") != "aws" or region is None or "region" in target:
        return False
    tree["target"] = {"region": region, **target}
    return True


def _stray(key: str) -> str:
    name = key.removeprefix(NAMESPACE)
    if name in properties(settings_schema()):
        return f"belongs below `config:`; indent it, and write `{NAMESPACE}{name}`"
    return unknown(key, ("config", *PULUMI_KEYS))


def _settings(tree: dict[str, Any], config: Mapping[str, Any], problems: Iterable[Problem]) -> Settings:
    """Return the settings. Raises StackFileError with every problem."""
    problem_by_key = {problem.key: problem for problem in problems}
    region = config.get(REGION_KEY)
    names = {"target.region": REGION_KEY} if _take_region(tree, region) else {}
    settings, invalid = _validated(tree)
    rules = (
        every_value_is_plain(tree),
        invalid,
        roles_fit_the_pattern(tree),
        one_region(tree, config.get(REGION_KEY)),
        secrets_of_providers(config),
    )
    for problem in chain.from_iterable(rules):
        if not _is_covered(problem.key, problem_by_key):
            problem_by_key[problem.key] = problem
    if problem_by_key or settings is None:
        raise StackFileError(
            replace(problem, key=names.get(problem.key, problem.key)) for problem in problem_by_key.values()
        )
    return settings


def _is_covered(key: str, problem_keys: Container[str]) -> bool:
    """Return whether the key, or one that contains it, already has a problem."""
    return any(key[:end] in problem_keys for end, character in enumerate(f"{key}.") if character == ".")


def _validated(tree: Mapping[str, Any]) -> tuple[Settings | None, list[Problem]]:
    try:
        return Settings.model_validate(tree, by_alias=True, by_name=False), []
    except ValidationError as error:
        return None, [
            problem_of(detail, tree) for detail in error.errors(include_url=False) if not _misspelt(detail)
        ]


def _misspelt(detail: ErrorDetails) -> bool:
    """Return whether a missing key is present with a spelling mistake."""
    *section, key = detail["loc"]
    return detail["type"] == "missing" and is_misspelt(str(key), detail["input"], properties(at(section)))
