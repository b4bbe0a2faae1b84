"""The identity that the AWS provider acts as, from its keys (`aws:…`) in a stack file. Pure.

Look-ups must act as the provider does: an answer of another account is worse than none. So every key of the
provider is in one of three tables: look-ups follow it, or it does not change who acts and where, or no
look-up is made (`Identity.unlike`).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

NAMESPACE: Final = "aws:"

SUPPORTED: Final = frozenset(
    {
        "accessKey",
        "allowedAccountIds",
        "assumeRole",
        "assumeRoleWithWebIdentity",
        "assumeRoles",
        "customCaBundle",
        "ec2MetadataServiceEndpoint",
        "ec2MetadataServiceEndpointMode",
        "endpoints",
        "forbiddenAccountIds",
        "httpProxy",
        "httpsProxy",
        "insecure",
        "profile",
        "region",
        "secretKey",
        "sharedConfigFiles",
        "sharedCredentialsFiles",
        "skipMetadataApiCheck",
        "stsRegion",
        "token",
        "useDualstackEndpoint",
        "useFipsEndpoint",
    }
)
"""Keys that look-ups follow. Earlier versions of the provider call `assumeRoles` `assumeRole`."""

IRRELEVANT: Final = frozenset(
    {
        "defaultTags",
        "ignoreTags",
        "maxRetries",
        "retryMode",
        "s3UsEast1RegionalEndpoint",
        "s3UsePathStyle",
        "skipCredentialsValidation",
        "skipRegionValidation",
        "skipRequestingAccountId",
        "tagPolicyCompliance",
        "tokenBucketRateLimiterCapacity",
        "userAgents",
        "version",
    }
)
"""Keys that do not change who acts, and where."""

UNSUPPORTED: Final = frozenset({"noProxy"})
"""Keys that look-ups cannot follow."""

_ARN: Final = re.compile(r"arn:aws[\w-]*:iam::\d{12}:role/[\w+=,.@/-]+")
_DURATION: Final = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?")
_ROLE: Final[Mapping[str, str]] = {
    "externalId": "ExternalId",
    "policy": "Policy",
    "policyArns": "PolicyArns",
    "sessionName": "RoleSessionName",
    "sourceIdentity": "SourceIdentity",
    "tags": "Tags",
    "transitiveTagKeys": "TransitiveTagKeys",
}
"""Key of a role -> parameter of sts:AssumeRole."""

_TOKEN: Final = "webIdentityToken"  # noqa: S105 -- the name of a key
_FILE: Final = "webIdentityTokenFile"
_SESSION: Final = "dynamo-multinode"
"""Session name if none is given; the provider generates one."""


class UnsupportedKeyError(ValueError):
    """A key that look-ups cannot follow; the text begins with the key."""


@dataclass(frozen=True)
class Role:
    """A role to assume."""

    arn: str
    parameters: Mapping[str, Any]
    """More parameters of sts:AssumeRole."""


@dataclass(frozen=True)
class WebIdentity:
    """A role to assume with a token of another identity provider, such as a CI system."""

    role: Role
    token: str | None
    file: str | None


@dataclass(frozen=True)
class Identity:
    """The provider's identity. None and empty: taken from the environment and the AWS configuration."""

    profile: str | None = None
    static: tuple[str, str, str | None] | None = None
    """Access key, secret key and session token."""
    config_file: str | None = None
    credentials_file: str | None = None
    metadata: bool = False
    """Whether the instance's own role is used: only if `skipMetadataApiCheck` is false."""
    metadata_endpoint: str | None = None
    metadata_mode: str | None = None
    web: WebIdentity | None = None
    roles: tuple[Role, ...] = ()
    """Assumed one after another."""
    endpoints: Mapping[str, str] | None = None
    """URL by service, as the provider names services."""
    sts_region: str | None = None
    proxies: Mapping[str, str] | None = None
    ca_bundle: str | None = None
    verify: bool = True
    fips: bool = False
    dualstack: bool = False
    allowed_accounts: tuple[str, ...] = ()
    forbidden_accounts: tuple[str, ...] = ()
    unlike: str | None = None
    """Reason why look-ups cannot act as the provider; then none is made."""

    @property
    def by_the_cli(self) -> bool:
        """Return whether the AWS CLI acts as the same identity if it is given only the profile."""
        return self == Identity(profile=self.profile, metadata=self.metadata)


def identity(config: Mapping[str, Any]) -> Identity:
    """Return the identity of a configuration: a stack file's, or Pulumi's with JSON for structures."""
    keys = {key.removeprefix(NAMESPACE): value for key, value in config.items() if key.startswith(NAMESPACE)}
    try:
        for key in sorted(keys.keys() - SUPPORTED - IRRELEVANT):
            reason = "look-ups cannot do as it says" if key in UNSUPPORTED else "no key that is known here"
            raise UnsupportedKeyError(f"{NAMESPACE}{key}: {reason}")
        return _identity({key: _value(key, keys[key]) for key in keys if key in SUPPORTED})
    except UnsupportedKeyError as error:
        return Identity(profile=_profile(keys), unlike=str(error))


def _profile(keys: Mapping[str, Any]) -> str | None:
    return keys["profile"] if isinstance(keys.get("profile"), str) else None


def _identity(keys: Mapping[str, Any]) -> Identity:
    return Identity(
        profile=_text(keys, "profile"),
        static=_static(keys),
        config_file=_single_path(keys, "sharedConfigFiles"),
        credentials_file=_single_path(keys, "sharedCredentialsFiles"),
        metadata=not _switch(keys, "skipMetadataApiCheck", default=True),
        metadata_endpoint=_text(keys, "ec2MetadataServiceEndpoint"),
        metadata_mode=_text(keys, "ec2MetadataServiceEndpointMode"),
        web=_web(keys),
        roles=_roles(keys),
        endpoints=_endpoints(keys),
        sts_region=_text(keys, "stsRegion"),
        proxies=_proxies(keys),
        ca_bundle=_text(keys, "customCaBundle"),
        verify=not _switch(keys, "insecure", default=False),
        fips=_switch(keys, "useFipsEndpoint", default=False),
        dualstack=_switch(keys, "useDualstackEndpoint", default=False),
        allowed_accounts=_list(keys, "allowedAccountIds"),
        forbidden_accounts=_list(keys, "forbiddenAccountIds"),
    )


def _value(key: str, value: Any) -> Any:
    """Return a value; Pulumi's own configuration holds structures as JSON. Raises UnsupportedKeyError."""
    if _encrypted(value):
        raise UnsupportedKeyError(f"{NAMESPACE}{key}: encrypted in the stack file; a preview can read it")
    if isinstance(value, str) and value.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(value)
        except ValueError:
            raise UnsupportedKeyError(f"{NAMESPACE}{key}: expected JSON") from None
    return value


def _encrypted(value: Any) -> bool:
    if isinstance(value, Mapping):
        return set(value) == {"secure"} or any(map(_encrypted, value.values()))
    return isinstance(value, list) and any(map(_encrypted, value))


def _text(keys: Mapping[str, Any], key: str) -> str | None:
    value = keys.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, (Mapping, list)):
        raise UnsupportedKeyError(f"{NAMESPACE}{key}: expected text")
    return str(value)


def _switch(keys: Mapping[str, Any], key: str, *, default: bool) -> bool:
    text = _text(keys, key)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise UnsupportedKeyError(f"{NAMESPACE}{key}: expected true or false")
    return text.lower() == "true"


def _list(keys: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = keys.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or any(isinstance(item, (Mapping, list)) for item in value):
        raise UnsupportedKeyError(f"{NAMESPACE}{key}: expected a list of texts")
    return tuple(str(item) for item in value)


def _single_path(keys: Mapping[str, Any], key: str) -> str | None:
    paths = _list(keys, key)
    if len(paths) > 1:
        raise UnsupportedKeyError(f"{NAMESPACE}{key}: {len(paths)} files, and look-ups read one")
    return paths[0] if paths else None


def _static(keys: Mapping[str, Any]) -> tuple[str, str, str | None] | None:
    access, secret, token = (_text(keys, key) for key in ("accessKey", "secretKey", "token"))
    if access is None and secret is None and token is None:
        return None
    if access is None or secret is None:
        raise UnsupportedKeyError(f"{NAMESPACE}accessKey: goes with `{NAMESPACE}secretKey`")
    return access, secret, token


def _roles(keys: Mapping[str, Any]) -> tuple[Role, ...]:
    roles: list[Role] = []
    for key in ("assumeRole", "assumeRoles"):
        value = keys.get(key) or []
        entries = value if isinstance(value, list) else [value]
        roles += [_role(entry, f"{NAMESPACE}{key}") for entry in entries if entry]
    return tuple(roles)


def _role(entry: Any, path: str) -> Role:
    arn = entry.get("roleArn") if isinstance(entry, Mapping) else None
    if not isinstance(arn, str) or not _ARN.fullmatch(arn):
        raise UnsupportedKeyError(
            f"{path}: expected `roleArn`, such as arn:aws:iam::123456789012:role/deploy"
        )
    unknown_keys = sorted(entry.keys() - _ROLE.keys() - {"roleArn", "duration", _TOKEN, _FILE})
    if unknown_keys:
        raise UnsupportedKeyError(f"{path}.{unknown_keys[0]}: not known here")
    parameters = {
        _ROLE[key]: _parameter(key, value, path) for key, value in entry.items() if key in _ROLE and value
    }
    if entry.get("duration"):
        parameters["DurationSeconds"] = _seconds(str(entry["duration"]), path)
    return Role(arn, {"RoleSessionName": _SESSION, **parameters})


def _parameter(key: str, value: Any, path: str) -> Any:
    """Return the value of a role's key in the form that sts:AssumeRole takes."""
    if key == "tags":
        if not isinstance(value, Mapping):
            raise UnsupportedKeyError(f"{path}.tags: expected a text by name")
        return [{"Key": str(name), "Value": str(text)} for name, text in value.items()]
    if key in ("policyArns", "transitiveTagKeys"):
        texts = _list({key: value}, key)
        return [{"arn": arn} for arn in texts] if key == "policyArns" else list(texts)
    if isinstance(value, (Mapping, list)):
        raise UnsupportedKeyError(f"{path}.{key}: expected text")
    return str(value)


def _seconds(text: str, path: str) -> int:
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        raise UnsupportedKeyError(f"{path}.duration: expected such as 1h or 30m")
    hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return 3600 * hours + 60 * minutes + seconds


def _web(keys: Mapping[str, Any]) -> WebIdentity | None:
    entry = keys.get("assumeRoleWithWebIdentity")
    if not entry:
        return None
    path = f"{NAMESPACE}assumeRoleWithWebIdentity"
    role = _role(entry, path)
    token, file = entry.get(_TOKEN), entry.get(_FILE)
    if (token is None) == (file is None):
        raise UnsupportedKeyError(f"{path}: expected `{_TOKEN}` or `{_FILE}`")
    return WebIdentity(role, token, file)


def _endpoints(keys: Mapping[str, Any]) -> Mapping[str, str] | None:
    value = keys.get("endpoints")
    if not value:
        return None
    entries: Sequence[Any] = value if isinstance(value, list) else [value]
    if not all(isinstance(entry, Mapping) for entry in entries):
        raise UnsupportedKeyError(f"{NAMESPACE}endpoints: expected URLs by service")
    return {name: str(url) for entry in entries for name, url in entry.items() if url}


def _proxies(keys: Mapping[str, Any]) -> Mapping[str, str] | None:
    http, https = _text(keys, "httpProxy"), _text(keys, "httpsProxy")
    proxies = {"http": http, "https": https or http}
    return {scheme: url for scheme, url in proxies.items() if url} or None
