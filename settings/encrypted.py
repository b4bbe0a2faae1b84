"""Secrets as Pulumi keeps them in a stack file: what can be told of one without its key.

And with the one key that everybody has, the documented passphrase: it may protect nothing but what stays on
one machine. Source: pkg/secrets/passphrase and sdk/go/common/resource/config/crypt.go of Pulumi 3.259.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from nodectl.common.redaction import holds_password, holds_secret
from settings.problems import STACK, Problem

PASSPHRASE: Final = "dynamo"  # noqa: S105 -- documented: the shipped stack files hold no secrets
TOKEN_KEY: Final = "huggingFaceToken"  # noqa: S105 - the name of the key
"""The one secret; a scalar of its own, since Pulumi writes a structure with a secret inside in clear."""

SET_TOKEN: Final = f"`scripts/secret {STACK} {TOKEN_KEY}`"
"""Works from a fresh clone: makes the stack where it is not there, and asks for the value."""

SALT_KEY: Final = "encryptionsalt"
_KEYS: Final = (SALT_KEY, "encryptedkey")
"""Either is in the file of a stack whose secrets are encrypted here; Pulumi Cloud encrypts them itself."""

_ENCRYPTED: Final = re.compile(r"v1:([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")
_AWAY: Final = re.compile(r"v1(:[A-Za-z0-9+/=]+){1,2}")
_SALT: Final = re.compile(r"v1:([A-Za-z0-9+/=]+):(v1:.+)")
_ROUNDS: Final = 1_000_000
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_CLOUD_BYTES: Final = 28
"""Pulumi Cloud's texts have at least a nonce and a tag, too."""

_IN_HEADER: Final = re.compile(r"[\x21-\x7e]+")
"""What a token may be made of: others break the header that it is sent in, and errors would show it."""


def token_problem(value: Any, document: Mapping[str, Any]) -> str:
    """Return what is wrong with the hub token of a stack file, and what to do; empty where nothing is told.

    `value` is what stands at its key, `document` the whole file.
    """
    text = value.get("secure") if isinstance(value, Mapping) and list(value) == ["secure"] else None
    if not isinstance(text, str):
        return f"must be encrypted: run {SET_TOKEN}; revoke one that stood here"
    if not text:
        return f"is empty; run {SET_TOKEN}"
    if not (_is_encrypted(text) if _has_key(document) else _may_be_encrypted(text)):
        return f"is not what Pulumi encrypts; run {SET_TOKEN}, and revoke one that stood here in clear"
    if not is_everybodys(document):
        return ""
    return clear_problem(_decrypted(text, _everybodys_key(document[SALT_KEY])))


def keyless_problem(value: Any, document: Mapping[str, Any]) -> str:
    """Return that the file of a stack that is to be made lost the key of its token; empty where not.

    A plan can be shown all the same.
    """
    text = value.get("secure") if isinstance(value, Mapping) else None
    if not isinstance(text, str) or not _AWAY.fullmatch(text) or _has_key(document):
        return ""
    return f"cannot be decrypted: the file has neither {' nor '.join(_KEYS)}; run {SET_TOKEN}"


def _has_key(document: Mapping[str, Any]) -> bool:
    return any(document.get(key) for key in _KEYS)


def _may_be_encrypted(text: str) -> bool:
    """Return whether a text is Pulumi Cloud's, or looks like that of a key which is not in the file."""
    return len(_decoded(text) or b"") >= _CLOUD_BYTES or bool(_AWAY.fullmatch(text))


def _is_encrypted(text: str) -> bool:
    found = _ENCRYPTED.fullmatch(text)
    nonce, content = (_decoded(found[1]), _decoded(found[2])) if found else (None, None)
    return nonce is not None and len(nonce) == _NONCE_BYTES and len(content or b"") >= _TAG_BYTES


def clear_problem(token: str | None) -> str:
    """Return what is wrong with a decrypted token, never showing it; None is one that cannot be decrypted."""
    if token is None:
        return f"cannot be decrypted: it was changed, or copied from another stack; run {SET_TOKEN}"
    if not token:
        return f"is empty; run {SET_TOKEN}"
    if not _IN_HEADER.fullmatch(token):
        return f"holds spaces, a line break or letters that no token has; run {SET_TOKEN}"
    return ""


def is_everybodys(document: Mapping[str, Any]) -> bool:
    """Return whether a stack file's secrets are encrypted with the documented passphrase."""
    salt = document.get(SALT_KEY)
    return isinstance(salt, str) and not document.get("secretsprovider") and bool(_everybodys_key(salt))


def exposed(kind: str, document: Mapping[str, Any], *, held: bool, token: bool = False) -> list[Problem]:
    """Return why secrets of a stack on machines that are not this one would be open to everybody.

    `kind` is that of its target, `held` whether the file has the hub's token, `token` whether it gets one. A
    stack on AWS keeps keys in its state.
    """
    if kind == "local" or not (held or token or kind == "aws") or not is_everybodys(document):
        return []
    what = "the token" if held or token else "the keys that a stack on AWS keeps in its state"
    lines = f"the line `{SALT_KEY}`{f' and `{TOKEN_KEY}`' if held else ''}"
    remedy = f"{'revoke that token, ' if held else ''}remove {lines}, and {own_key(token=held or token)}"
    message = (
        f"is of the documented passphrase `{PASSPHRASE}`, with which everybody can read {what}: {remedy}"
    )
    return [Problem(SALT_KEY, message)]


def is_secret_url(url: str) -> bool:
    """Return whether an address has a password or another secret in it."""
    return holds_password(url) or holds_secret(url)


def own_key(backend: str = "", *, token: bool) -> str:
    """Return how a stack gets a key of its own for its secrets; `backend` is where state is, if shared."""
    shown = "://" in backend and not backend.startswith("file:") and not is_secret_url(backend)
    where = backend if shown else "s3://BUCKET"
    init = f"scripts/init {STACK} --backend '{where}' --secrets-provider 'awskms://alias/KEY?region=REGION'"
    then = f", then {SET_TOKEN}" if token else ""
    return f"run `{init}`, or set PULUMI_CONFIG_PASSPHRASE to one of your own{then}"


@cache
def _everybodys_key(salt: str) -> bytes | None:
    """Return the documented passphrase's key for a salt; None for the salt of another passphrase."""
    found = _SALT.fullmatch(salt)
    if not found or (raw := _decoded(found[1])) is None:
        return None
    key = hashlib.pbkdf2_hmac("sha256", PASSPHRASE.encode(), raw, _ROUNDS, _KEY_BYTES)
    return key if _decrypted(found[2], key) == "pulumi" else None


def _decrypted(text: str, key: bytes | None) -> str | None:
    """Return what was encrypted with this key; None where it was another, or something else."""
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 - for files with a secret alone
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415

    if key is None or not _is_encrypted(text):
        return None
    _, nonce, content = text.split(":")
    try:
        return AESGCM(key).decrypt(base64.b64decode(nonce), base64.b64decode(content), None).decode()
    except (InvalidTag, UnicodeDecodeError):
        return None


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
