"""Rules across keys, checked on values as written, so that all problems are reported at once."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from nodectl.common.redaction import (
    holds_password,
    holds_secret,
    looks_secret,
    names_password,
    names_secret,
    redacted,
    shown,
)
from settings.configuration import NAMESPACE
from settings.encrypted import SET_TOKEN, TOKEN_KEY
from settings.messages import Path, is_misspelt, key_text
from settings.problems import Problem
from settings.schema import at, properties

_TOKEN_REMEDY: Final = f"; for the hub's token run {SET_TOKEN}, there is no key for others"

_NETRC: Final = "put user and password into ~/.netrc on the nodes"
_PROXY_LOGIN: Final = "have the proxy let the nodes in by address, or run one on them that logs in"
_LOGINS: Final = {
    "bastion": "SSH logs in by keys",
    "host": "SSH logs in by keys",
    **dict.fromkeys(("http", "https"), _PROXY_LOGIN),
    "image": "log in on the nodes by `podman login` or `docker login`",
}
"""Key -> how to log in there without a password."""

_WORKERS: Final = {"agg": ("aggregated",), "disagg": ("prefill", "decode")}
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_USER_KEYED: Final = frozenset({"env", "flags", "tags"})
"""Sections whose keys the user chooses."""

_NO_SECRETS: Final = frozenset({"hostKey"})
"""Keys of sections that have the name of a secret and are none."""

_MAX_DEPTH: Final = 20


def every_value_is_plain(value: Any, path: Path = ()) -> Iterator[Problem]:
    """Yield what is allowed nowhere: empty values, secrets, control characters, too deep nesting."""
    key = key_text(path)
    if value is None:
        yield Problem(key, "is empty; write a value or remove the key")
    elif len(path) > _MAX_DEPTH:
        yield Problem(key, f"is nested deeper than {_MAX_DEPTH} levels; remove levels")
    elif is_encrypted(value):
        yield Problem(key, f"may not be encrypted: write it in clear; for the hub token run {SET_TOKEN}")
    elif isinstance(value, Mapping):
        for name, item in value.items():
            yield from _entry(name, item, (*path, name))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from every_value_is_plain(item, (*path, index))
    elif isinstance(value, str):
        yield from _text(value, key)


def _text(text: str, key: str) -> Iterator[Problem]:
    if holds_password(text):
        remedy = next(
            (_LOGINS[segment] for segment in reversed(key.split(".")) if segment in _LOGINS), _NETRC
        )
        yield Problem(key, f"no password may stand here: {remedy}; change it, since it was shown")
    elif holds_secret(text):
        yield Problem(key, f"holds what looks like a secret in clear; revoke it and remove it{_TOKEN_REMEDY}")
    if _CONTROL.search(text):
        yield Problem(key, "holds a control character or line break; write it on one line without")


def _entry(name: str, item: Any, path: Path) -> Iterator[Problem]:
    key = key_text(path)
    if _CONTROL.search(name):
        yield Problem(key, "holds a control character or line break in its name; remove it")
    elif holds_secret(name):
        yield Problem(key, f"its name looks like a secret in clear; revoke it and remove it{_TOKEN_REMEDY}")
    elif _is_for_a_secret(name, item, path):
        yield Problem(key, f"secrets may not stand here; remove it{_secret_remedy(name)}")
    else:
        yield from every_value_is_plain(item, path)


def _is_for_a_secret(name: str, value: Any, path: Path) -> bool:
    """Return whether a key is for a secret.

    The name alone decides for environment variables, flags, and keys that no section has. Tags and keys
    inside a flag may have any name (`budget-token`, `image_token`): there the value counts as well.
    """
    if not names_secret(name) or path == (TOKEN_KEY,):
        return False
    if not _USER_KEYED.isdisjoint(path[:-1]) and path[-2] not in ("env", "flags"):
        return names_password(name) or (isinstance(value, str) and looks_secret(value))
    return name not in _NO_SECRETS


def _secret_remedy(name: str) -> str:
    """Return the remedy: where a secret belongs, by its name."""
    words = name.upper()
    if words.startswith(("AWS_", "S3_")):
        return "; on AWS `target.instanceProfile` has the rights, elsewhere put it into ~/.aws on the nodes"
    if words.startswith(("UV_", "PIP_")):
        return "; name the index as `runtime.index` and put user and password into ~/.netrc on the nodes"
    if words.startswith(("NATS_", "ETCD_")):
        return ": NATS and etcd are planned, and closed to others by the firewall"
    return _TOKEN_REMEDY


def roles_fit_the_pattern(tree: Mapping[str, Any]) -> Iterator[Problem]:
    """Require aggregated workers for `agg`, prefill and decode workers for `disagg`, and no others."""
    pattern, roles = tree.get("pattern"), tree.get("roles")
    if pattern not in ("agg", "disagg") or not isinstance(roles, Mapping):
        return
    other_pattern = "disagg" if pattern == "agg" else "agg"
    missing = [role for role in _WORKERS[pattern] if not _is_present(role, roles)]
    foreign = [role for role in _WORKERS[other_pattern] if role in roles]
    if len(missing) == len(_WORKERS[pattern]) and len(foreign) == len(_WORKERS[other_pattern]):
        yield Problem(
            "pattern",
            f"has the roles of {other_pattern}: write `pattern: {other_pattern}`, "
            f"or {' and '.join(missing)} in place of {' and '.join(foreign)} below `roles`",
            f'"{pattern}"',
        )
        return
    for role in missing:
        yield Problem(
            f"roles.{role}",
            f"missing: pattern {pattern} needs it; add `{role}: {{replicas: 1}}` below `roles`",
        )
    for role in foreign:
        yield Problem(
            f"roles.{role}",
            f"does not belong to pattern {pattern}; remove it or write `pattern: {other_pattern}`",
        )


def one_region(tree: Mapping[str, Any], region: Any) -> Iterator[Problem]:
    """Require that `aws:region` and `target.region` are equal if both are written."""
    target = tree.get("target")
    target_region = target.get("region") if isinstance(target, Mapping) else None
    if target_region is not None and region is not None and target_region != region:
        yield Problem(
            "target.region", f"`aws:region` says {shown(region)}; write one of them", shown(target_region)
        )


def secrets_of_providers(config: Mapping[str, Any]) -> Iterator[Problem]:
    """Refuse secrets in clear in keys of providers, such as `aws:secretKey`."""
    for name, value in config.items():
        namespace, colon, key = name.partition(":")
        if not colon or f"{namespace}:" == NAMESPACE or not isinstance(value, str):
            continue
        if holds_secret(value) or (names_secret(key) and value not in ("", "true", "false")):
            command = f" by `pulumi config set --secret {name}`" if redacted(name) == name else ""
            yield Problem(key_text((name,)), f"must be encrypted{command}; revoke what stood here")


def is_encrypted(value: Any) -> bool:
    """Return whether a value is a secret as Pulumi keeps it."""
    return isinstance(value, Mapping) and list(value) == ["secure"] and isinstance(value["secure"], str)


def _is_present(role: str, roles: Mapping[str, Any]) -> bool:
    return role in roles or is_misspelt(role, roles, properties(at(("roles",))))
