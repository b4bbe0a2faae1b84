"""Checks of encrypted secrets in a stack file, as far as they work without the key.

The key of the documented passphrase is known to everybody: it may protect only what stays on one machine.
Source: pkg/secrets/passphrase and sdk/go/common/resource/config/crypt.go of Pulumi 3.259.
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
"""The only secret; a scalar, since Pulumi writes a structure with a secret inside in clear."""

SET_TOKEN: Final = f"`scripts/secret {STACK} {TOKEN_KEY}`"
"""Works from a fresh clone: creates the stack if it does not exist, and asks for the value."""

SALT_KEY: Final = "encryptionsalt"
_KEYS: Final = (SALT_KEY, "encryptedkey")
"""One of them is in the file of a stack whose secrets are encrypted here, not by Pulumi Cloud."""

_ENCRYPTED: Final = re.compile(r"v1:([A-Za-z0-9+/=]+):([A-Za-z0-9+/=]+)")
_WITHOUT_KEY: Final = re.compile(r"v1(:[A-Za-z0-9+/=]+){1,2}")
_SALT: Final = re.compile(r"v1:([A-Za-z0-9+/=]+):(v1:.+)")
_ROUNDS: Final = 1_000_000
_KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_TAG_BYTES: Final = 16
_CLOUD_BYTES: Final = 28
"""Least length of Pulumi Cloud's ciphertexts: nonce and tag."""

_HEADER_TEXT: Final = re.compile(r"[\x21-\x7e]+")
"""Characters of a token: others break the HTTP header that it is sent in, and errors would show it."""


def token_problem(value: Any, document: Mapping[str, Any]) -> str:
    """Return the problem of the hub token of a stack file, with its remedy; empty if none is known.

    `value` is the value of its key, `document` the whole file.
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
    return clear_problem(_decrypted(text, _documented_key(document[SALT_KEY])))


def keyless_problem(value: Any, document: Mapping[str, Any]) -> str:
    """Return the problem of a token whose encryption key is missing from the file; empty if it is not.

    It matters when the stack is created; a plan can be shown without.
    """
    text = value.get("secure") if isinstance(value, Mapping) else None
    if not isinstance(text, str) or not _WITHOUT_KEY.fullmatch(text) or _has_key(document):
        return ""
    return f"cannot be decrypted: the file has neither {' nor '.join(_KEYS)}; run {SET_TOKEN}"


def _has_key(document: Mapping[str, Any]) -> bool:
    return any(document.get(key) for key in _KEYS)


def _may_be_encrypted(text: str) -> bool:
    """Return whether a text may be encrypted by Pulumi Cloud, or by a key that is not in the file."""
    return len(_decoded(text) or b"") >= _CLOUD_BYTES or bool(_WITHOUT_KEY.fullmatch(text))


def _is_encrypted(text: str) -> bool:
    match = _ENCRYPTED.fullmatch(text)
    nonce, content = (_decoded(match[1]), _decoded(match[2])) if match else (None, None)
    return nonce is not None and len(nonce) == _NONCE_BYTES and len(content or b"") >= _TAG_BYTES


def clear_problem(token: str | None) -> str:
    """Return the problem of a decrypted token, without showing it; None is one that cannot be decrypted."""
    if token is None:
        return f"cannot be decrypted: it was changed, or copied from another stack; run {SET_TOKEN}"
    if not token:
        return f"is empty; run {SET_TOKEN}"
    if not _HEADER_TEXT.fullmatch(token):
        return f"holds spaces, a line break or letters that no token has; run {SET_TOKEN}"
    return ""


def is_everybodys(document: Mapping[str, Any]) -> bool:
    """Return whether a stack file's secrets are encrypted with the documented passphrase."""
    salt = document.get(SALT_KEY)
    return isinstance(salt, str) and not document.get("secretsprovider") and bool(_documented_key(salt))


def exposed(kind: str, document: Mapping[str, Any], *, held: bool, token: bool = False) -> list[Problem]:
    """Return the problem of secrets that everybody could decrypt, of a stack on other machines than this one.

    `kind` is the kind of its target, `held` whether the file has the hub token, `token` whether it gets one.
    A stack on AWS keeps keys in its state.
    """
    if kind == "local" or not (held or token or kind == "aws") or not is_everybodys(document):
        return []
    secret_text = "the token" if held or token else "the keys that a stack on AWS keeps in its state"
    lines = f"the line `{SALT_KEY}`{f' and `{TOKEN_KEY}`' if held else ''}"
    remedy = f"{'revoke that token, ' if held else ''}remove {lines}, and {own_key(token=held or token)}"
    message = (
        f"is of the documented passphrase `{PASSPHRASE}`, with which everybody can read {secret_text}: "
        f"{remedy}"
    )
    return [Problem(SALT_KEY, message)]


def is_secret_url(url: str) -> bool:
    """Return whether a URL contains a password or another secret."""
    return holds_password(url) or holds_secret(url)


def own_key(backend: str = "", *, token: bool) -> str:
    """Return the remedy: a key of the stack's own. `backend` is the URL of its state, if shared."""
    showable = "://" in backend and not backend.startswith("file:") and not is_secret_url(backend)
    backend_url = backend if showable else "s3://BUCKET"
    init = f"scripts/init {STACK} --backend '{backend_url}' --secrets-provider 'awskms://alias/KEY?region=REGION'"
    next_step = f", then {SET_TOKEN}" if token else ""
    return f"run `{init}`, or set PULUMI_CONFIG_PASSPHRASE to one of your own{next_step}"


@cache
def _documented_key(salt: str) -> bytes | None:
    """Return the key of the documented passphrase for a salt; None if the salt is of another passphrase."""
    match = _SALT.fullmatch(salt)
    if not match or (raw := _decoded(match[1])) is None:
        return None
    key = hashlib.pbkdf2_hmac("sha256", PASSPHRASE.encode(), raw, _ROUNDS, _KEY_BYTES)
    return key if _decrypted(match[2], key) == "pulumi" else None


def _decrypted(text: str, key: bytes | None) -> str | None:
    """Return the decrypted text; None if it was encrypted with another key, or not encrypted."""
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
