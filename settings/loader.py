"""A stack file, or what Pulumi made of it, to Settings: every problem at once, never another error."""

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
"""Stands for a token that only `pulumi up` can decrypt."""

MAX_BYTES: Final = 262_144
"""A stack file is a few KB, one that lists 2,048 machines 120; reading a much larger one takes minutes."""

MAX_CONFIG_BYTES: Final = 120_000
"""Aliases make much of little, and Linux allows an environment variable 128 KiB."""

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
    whole = document(path)
    config = _config(whole)
    tree, problems = own_keys(config)
    if TOKEN_KEY in tree and (problem := token_problem(tree[TOKEN_KEY], whole)):
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
    """Return everything that stands in a stack file, Pulumi's own keys too.

    Raises StackFileError for what is not YAML, what is no file, and what is larger than stack files are.
    """
    found = load(_text(path))
    if found is None:
        raise StackFileError([Problem("config", "the file is empty: expected `config:` with `dynamo:` keys")])
    return found if isinstance(found, dict) else {}


def from_config(
    config: Mapping[str, str], secret_keys: Collection[str], path: Path | None = None
) -> Settings:
    """Return what Pulumi's configuration of the running stack says: the same as its stack file does.

    `config` maps `namespace:key` to text (JSON for structures), decrypted; `secret_keys` are those that were
    encrypted, in whole or inside. What stands in the file at `path` as Pulumi has it is taken from there:
    Pulumi keeps `1.1` of `1.10`. Raises StackFileError with every problem found.
    """
    written, _ = own_keys(_config(document(path))) if path and path.exists() else ({}, [])
    given, problems = own_keys(config)
    tree: dict[str, Any] = {}
    for key, text in given.items():
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
                tree[key] = _as_written(configured(text), written.get(key))
            except PlainValueError as error:
                problems.append(Problem(key_text((key,)), str(error)))
    clear = {name: text for name, text in config.items() if name not in secret_keys}
    return _settings(tree, clear, problems)


def _as_written(value: JsonValue, written: Any) -> JsonValue:
    """Return a value as the stack file has it, unless Pulumi has it from elsewhere."""
    own = value_of(written)
    return own if same(own, value) else value


def _text(path: Path) -> str:
    try:
        content = read_regular(path, MAX_BYTES)
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
    raise StackFileError([Problem(key_text((path.name,)), reason)])


def _config(keys: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands below `config:`."""
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
    """Return about how large the variable is in which Pulumi hands the configuration to the program."""
    values = {key: json.dumps(value, ensure_ascii=False) for key, value in config.items()}
    text = json.dumps(values, ensure_ascii=False)
    return len(text.encode(errors="replace")) + 6 * sum(map(text.count, "<>&"))


def exposed_secrets(path: Path, settings: Settings) -> list[Problem]:
    """Return why the secrets of a stack file that was read before would be open to everybody."""
    return exposed(settings.target.kind, document(path), held=settings.hugging_face_token is not None)


def _take_region(tree: dict[str, Any], region: Any) -> bool:
    """Give a target on AWS the region that the provider's own key names, unless it has one."""
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
    """Return the settings, or raise everything that is wrong with them."""
    found = {problem.key: problem for problem in problems}
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
        if not _is_within(problem.key, found):
            found[problem.key] = problem
    if found or settings is None:
        raise StackFileError(replace(one, key=names.get(one.key, one.key)) for one in found.values())
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
