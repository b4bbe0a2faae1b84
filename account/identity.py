"""As whom the AWS provider acts, told from its keys (`aws:…`) in a stack file. Pure.

Whoever looks something up must be the same: another account's answer is worse than none. So every key of the
provider is decided here: look-ups do as it says, or it says nothing about who acts and where, or no look-up
is made (`Identity.unlike`).
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

NAMESPACE: Final = "aws:"

HEEDED: Final = frozenset(
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
"""Keys that look-ups do as. `assumeRole` is what earlier versions of the provider call `assumeRoles`."""

NO_MATTER: Final = frozenset(
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
"""Keys that say nothing about who acts, and where."""

UNHEEDED: Final = frozenset({"noProxy"})
"""Keys that look-ups cannot do as."""

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
"""Name of a session where none is given; the provider makes one up."""


class UnlikeError(ValueError):
    """A key that cannot be done as here; the text begins with the key."""


@dataclass(frozen=True)
class Role:
    """A role to take on."""

    arn: str
    parameters: Mapping[str, Any]
    """More parameters of sts:AssumeRole."""


@dataclass(frozen=True)
class WebIdentity:
    """A role that a token of another identity provider, such as that of a CI system, lets one take on."""

    role: Role
    token: str | None
    file: str | None


@dataclass(frozen=True)
class Identity:
    """Who the provider is. None and empty: as the environment and the AWS configuration say."""

    profile: str | None = None
    static: tuple[str, str, str | None] | None = None
    """Access key, secret key and session token."""
    config_file: str | None = None
    credentials_file: str | None = None
    metadata: bool = False
    """Whether the machine's own role counts, as it does only where `skipMetadataApiCheck` is false."""
    metadata_endpoint: str | None = None
    metadata_mode: str | None = None
    web: WebIdentity | None = None
    roles: tuple[Role, ...] = ()
    """Taken on one after another."""
    endpoints: Mapping[str, str] | None = None
    """URL by service, as the provider names services."""
    sts_region: str | None = None
    proxies: Mapping[str, str] | None = None
    ca_bundle: str | None = None
    verify: bool = True
    fips: bool = False
    dualstack: bool = False
    allowed: tuple[str, ...] = ()
    forbidden: tuple[str, ...] = ()
    unlike: str | None = None
    """Why nobody can be asked as the provider would: then nobody is."""

    @property
    def by_the_cli(self) -> bool:
        """Whether the AWS CLI is the same where it is given the profile alone."""
        return self == Identity(profile=self.profile, metadata=self.metadata)


def identity(config: Mapping[str, Any]) -> Identity:
    """Return what the keys of a configuration say: a stack file's, or Pulumi's with JSON for structures."""
    keys = {key.removeprefix(NAMESPACE): value for key, value in config.items() if key.startswith(NAMESPACE)}
    try:
        for key in sorted(keys.keys() - HEEDED - NO_MATTER):
            known = "look-ups cannot do as it says" if key in UNHEEDED else "no key that is known here"
            raise UnlikeError(f"{NAMESPACE}{key}: {known}")
        return _identity({key: _value(key, keys[key]) for key in keys if key in HEEDED})
    except UnlikeError as error:
        return Identity(profile=_profile(keys), unlike=str(error))


def _profile(keys: Mapping[str, Any]) -> str | None:
    return keys["profile"] if isinstance(keys.get("profile"), str) else None


def _identity(keys: Mapping[str, Any]) -> Identity:
    return Identity(
        profile=_text(keys, "profile"),
        static=_static(keys),
        config_file=_one(keys, "sharedConfigFiles"),
        credentials_file=_one(keys, "sharedCredentialsFiles"),
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
        allowed=_list(keys, "allowedAccountIds"),
        forbidden=_list(keys, "forbiddenAccountIds"),
    )


def _value(key: str, given: Any) -> Any:
    """Return a value as it is meant; Pulumi's own configuration holds structures as JSON."""
    if _encrypted(given):
        raise UnlikeError(f"{NAMESPACE}{key}: encrypted in the stack file; a preview can read it")
    if isinstance(given, str) and given.lstrip()[:1] in ("[", "{"):
        try:
            return json.loads(given)
        except ValueError:
            raise UnlikeError(f"{NAMESPACE}{key}: expected JSON") from None
    return given


def _encrypted(value: Any) -> bool:
    if isinstance(value, Mapping):
        return set(value) == {"secure"} or any(map(_encrypted, value.values()))
    return isinstance(value, list) and any(map(_encrypted, value))


def _text(keys: Mapping[str, Any], key: str) -> str | None:
    value = keys.get(key)
    if value is None or value == "":
        return None
    if isinstance(value, (Mapping, list)):
        raise UnlikeError(f"{NAMESPACE}{key}: expected text")
    return str(value)


def _switch(keys: Mapping[str, Any], key: str, *, default: bool) -> bool:
    text = _text(keys, key)
    if text is None:
        return default
    if text.lower() not in ("true", "false"):
        raise UnlikeError(f"{NAMESPACE}{key}: expected true or false")
    return text.lower() == "true"


def _list(keys: Mapping[str, Any], key: str) -> tuple[str, ...]:
    value = keys.get(key)
    if value is None:
        return ()
    if not isinstance(value, list) or any(isinstance(one, (Mapping, list)) for one in value):
        raise UnlikeError(f"{NAMESPACE}{key}: expected a list of texts")
    return tuple(str(one) for one in value)


def _one(keys: Mapping[str, Any], key: str) -> str | None:
    found = _list(keys, key)
    if len(found) > 1:
        raise UnlikeError(f"{NAMESPACE}{key}: {len(found)} files, and look-ups read one")
    return found[0] if found else None


def _static(keys: Mapping[str, Any]) -> tuple[str, str, str | None] | None:
    access, secret, token = (_text(keys, key) for key in ("accessKey", "secretKey", "token"))
    if access is None and secret is None and token is None:
        return None
    if access is None or secret is None:
        raise UnlikeError(f"{NAMESPACE}accessKey: goes with `{NAMESPACE}secretKey`")
    return access, secret, token


def _roles(keys: Mapping[str, Any]) -> tuple[Role, ...]:
    found: list[Role] = []
    for key in ("assumeRole", "assumeRoles"):
        value = keys.get(key) or []
        each = value if isinstance(value, list) else [value]
        found += [_role(one, f"{NAMESPACE}{key}") for one in each if one]
    return tuple(found)


def _role(given: Any, where: str) -> Role:
    arn = given.get("roleArn") if isinstance(given, Mapping) else None
    if not isinstance(arn, str) or not _ARN.fullmatch(arn):
        raise UnlikeError(f"{where}: expected `roleArn`, such as arn:aws:iam::123456789012:role/deploy")
    unknown = sorted(given.keys() - _ROLE.keys() - {"roleArn", "duration", _TOKEN, _FILE})
    if unknown:
        raise UnlikeError(f"{where}.{unknown[0]}: not known here")
    parameters = {
        _ROLE[key]: _parameter(key, value, where) for key, value in given.items() if key in _ROLE and value
    }
    if given.get("duration"):
        parameters["DurationSeconds"] = _seconds(str(given["duration"]), where)
    return Role(arn, {"RoleSessionName": _SESSION, **parameters})


def _parameter(key: str, value: Any, where: str) -> Any:
    """Return what STS takes for a key of a role."""
    if key == "tags":
        if not isinstance(value, Mapping):
            raise UnlikeError(f"{where}.tags: expected a text by name")
        return [{"Key": str(name), "Value": str(text)} for name, text in value.items()]
    if key in ("policyArns", "transitiveTagKeys"):
        found = _list({key: value}, key)
        return [{"arn": arn} for arn in found] if key == "policyArns" else list(found)
    if isinstance(value, (Mapping, list)):
        raise UnlikeError(f"{where}.{key}: expected text")
    return str(value)


def _seconds(text: str, where: str) -> int:
    found = _DURATION.fullmatch(text)
    if not text or found is None:
        raise UnlikeError(f"{where}.duration: expected such as 1h or 30m")
    hours, minutes, seconds = (int(part or 0) for part in found.groups())
    return 3600 * hours + 60 * minutes + seconds


def _web(keys: Mapping[str, Any]) -> WebIdentity | None:
    given = keys.get("assumeRoleWithWebIdentity")
    if not given:
        return None
    where = f"{NAMESPACE}assumeRoleWithWebIdentity"
    role = _role(given, where)
    token, file = given.get(_TOKEN), given.get(_FILE)
    if (token is None) == (file is None):
        raise UnlikeError(f"{where}: expected `{_TOKEN}` or `{_FILE}`")
    return WebIdentity(role, token, file)


def _endpoints(keys: Mapping[str, Any]) -> Mapping[str, str] | None:
    given = keys.get("endpoints")
    if not given:
        return None
    each: Sequence[Any] = given if isinstance(given, list) else [given]
    if not all(isinstance(one, Mapping) for one in each):
        raise UnlikeError(f"{NAMESPACE}endpoints: expected URLs by service")
    return {name: str(url) for one in each for name, url in one.items() if url}


def _proxies(keys: Mapping[str, Any]) -> Mapping[str, str] | None:
    http, https = _text(keys, "httpProxy"), _text(keys, "httpsProxy")
    found = {"http": http, "https": https or http}
    return {scheme: url for scheme, url in found.items() if url} or None
