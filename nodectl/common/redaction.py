"""Redaction: hides what may be a secret in texts of users before an error, a log or a plan shows them.

The only place that decides so; errors about stack files, of nodectl and of connections all ask here. A secret
is told by its form (tokens of known services, private keys, passwords in addresses, text as dense as only
generated text is) and by the name that it is given (`names_secret`). Where in doubt a text is hidden: who
wrote it can look it up.
"""

import json
import re
from collections.abc import Mapping
from itertools import pairwise
from typing import Final

HIDDEN: Final = "…"
_SHOWN: Final = 60
"""A value is shown up to this many characters."""

_TOKENS: Final = (
    r"(?:hf|api_org)_[A-Za-z0-9]{20,}",  # Hugging Face
    r"gh[pousr]_[A-Za-z0-9]{16,}|github_pat_\w{16,}",
    r"glpat-[\w-]{16,}",
    r"sk-(?:[a-z]+-)?[A-Za-z0-9_]{20,}",  # OpenAI, Anthropic
    r"xox[abeoprs]-[\w-]{10,}",  # Slack
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",
    r"eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?",  # JSON web tokens
    r"AIza[\w-]{30,}|ya29\.[\w-]{16,}",  # Google
    r"npm_[A-Za-z0-9]{30,}|pypi-AgE[\w-]{16,}|dckr_[po]at_[\w-]{20,}",  # registries
    r"nvapi-[\w-]{20,}",  # NVIDIA
    r"pul-[0-9a-f]{30,}",  # Pulumi
    r"hv[sbr]\.[\w-]{20,}",  # Vault
    r"AGE-SECRET-KEY-1[A-Z0-9]{20,}",
)
_TOKEN: Final = re.compile(rf"(?<![A-Za-z0-9])(?:{'|'.join(_TOKENS)})", re.ASCII)
_PRIVATE_KEY: Final = re.compile(r"(?:-{3,}\s*BEGIN\b[^-]*\bPRIVATE\s+KEY|PuTTY-User-Key-File).*", re.DOTALL)
_PASSWORD_IN_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://[^\s/?#@]*:\S+@")

_SCHEME: Final = re.compile(r"\"?[A-Za-z][A-Za-z0-9+.-]{0,15}://")
_DIGEST: Final = re.compile(r"@sha256:[0-9a-f]{64}\b")
_NO_PORT: Final = re.compile(r"(?<=://)([^\s/?#@:]*):(?!…|\d+(?:[/?#\s\"]|$))\S*")
_PAIR: Final = re.compile(r"([^\s:@/]+):(?!//|\d+(?:\.\d+)*(?:/|$))[^:@]*[^:@\d][^:@]*")
"""Two texts around a colon, the second of which is no port or version: it may be user and password."""
_NO_PORT_AFTER_AT: Final = re.compile(r"(@[^\s/?#@:]*):(?!…|sha256:|\d+(?:[/?#\s\"]|$))[^\s:\"]*(?=[\s\"]|$)")
_QUERY: Final = re.compile(r"([?#])(?!…)\S+")
_ASSIGNED: Final = re.compile(
    r"((?:token|passw(?:or)?d|passphrase|secret|credentials?|key|bearer|basic)[\"']?(?:\s*[=:]\s*|\s+))(?![…\s])\S.*",
    re.IGNORECASE | re.DOTALL,
)

_AWS_ID: Final = re.compile(
    r"(?<![\w-])(?:ami|cr|eipalloc|eni|fs|i|igw|key|lt|nat|pg|pl|rtb|sg|snap|subnet|vol|vpce?)-[0-9a-f]{8,17}(?![\w-])"
)
_SEGMENT: Final = re.compile(r"[A-Za-z0-9]+")
_RUN: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
"""A part of a text that people would write in one go: a word, capitals, a number."""

_LONGEST_NUMBER: Final = 12
_LONGEST_HEXADECIMAL: Final = re.compile(r"0[xX][0-9a-fA-F_]{5,}")
_SYMBOLS: Final = re.compile(r"[!$^&*~#]")
_SHORTEST: Final = 8
"""Shorter than this a text is not taken for a password by its form alone."""

_LONGEST_MIXED: Final = 15
"""Letters and digits in one go, longer than this, are generated."""

_LONGEST_WORD: Final = 27
_HUMPS: Final = 5
"""`wJalrXUtnFEMI`: words in one go, as in `LlamaForCausalLM`, are fewer for their length."""
_TURNS: Final = 3
_RUN_LENGTH: Final = 4

_PASSWORD: Final = frozenset({"password", "passwords", "passwd", "passphrase"})
_STRONG: Final = _PASSWORD | {"secret", "secrets", "credential", "credentials", "apikey"}
"""Words that make a name that of a secret wherever they stand in it."""

_STRONG_PAIRS: Final = frozenset(
    {"api key", "api keys", "access key", "access keys", "private key", "auth config"}
)
_WEAK: Final = frozenset({"token", "key", "pass", "pat", "pwd", "creds", "cred", "bearer", "jwt", "cookie"})
"""Words that do so at its end."""

_WHERE: Final = frozenset({"file", "files", "path", "paths", "dir", "folder", "name", "arn", "uri", "size"})
"""Words of names that stand for a place or a measure, not for the secret itself."""

_ENDS: Final = ("pgpass", "password", "passwd", "passphrase", "token", "apikey", "secret")
"""Endings of words that count as well: `PGPASSWORD`, `hftoken`."""

_WORD: Final = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def shown(value: object) -> str:
    """Return a value for an error: short, on one line, printable; of a structure not the content."""
    if isinstance(value, Mapping):
        return "{…}" if value else "{}"
    if isinstance(value, list | tuple):
        return "[…]" if value else "[]"
    if value is None:
        return ""
    if isinstance(value, bool):
        return json.dumps(value)
    if isinstance(value, int | float):
        return redacted(str(value))
    if not isinstance(value, str):
        return HIDDEN
    return quoted(_PAIR.sub(rf"\1:{HIDDEN}", value, count=1) if _PAIR.fullmatch(value) else value)


def quoted(text: str) -> str:
    """Return text in quotes, as much of it as may be shown."""
    redacted_text = redacted(text)
    literal = json.dumps(redacted_text, ensure_ascii=not redacted_text.isprintable())
    excerpt = literal if len(literal) <= _SHOWN else f"{literal[:_SHOWN]}{HIDDEN}"
    return excerpt if len(text) <= _SHOWN else f"{excerpt} ({len(text)} characters)"


def redacted(text: str) -> str:
    """Return text with `…` in place of all that may be a secret."""
    text = _PRIVATE_KEY.sub(HIDDEN, text)
    text = _without_login(text)
    text = _NO_PORT.sub(rf"\1:{HIDDEN}", text)
    text = _NO_PORT_AFTER_AT.sub(rf"\1:{HIDDEN}", text)
    text = _QUERY.sub(rf"\1{HIDDEN}", text)
    text = _ASSIGNED.sub(rf"\1{HIDDEN}", text)
    return re.sub(r"\S+", lambda word: _word(word[0]), text)


def without_known_secrets(text: str) -> str:
    """Return text of ours, in which something of a user's may be, without tokens, keys and passwords."""
    text = _PRIVATE_KEY.sub(HIDDEN, text)
    text = _PASSWORD_IN_URL.sub(lambda match: f"{match[0].partition('://')[0]}://{HIDDEN}@", text)
    return _TOKEN.sub(HIDDEN, text)


def holds_secret(text: str) -> bool:
    """Return whether text surely holds a secret: a token of a known service, a private key, a password."""
    return without_known_secrets(text) != text


def holds_password(text: str) -> bool:
    """Return whether text holds a URL with a password."""
    return bool(_PASSWORD_IN_URL.search(text))


def looks_secret(text: str) -> bool:
    """Return whether text may be a secret, by its form."""
    return holds_secret(text) or any(_is_dense(word) for word in text.split())


def names_secret(name: str) -> bool:
    """Return whether a name is one that people give to secrets: `HF_TOKEN`, `apiKey`, `DB_PASS`, `GH_PAT`."""
    words = _words(name)
    if not words or words[-1] in _WHERE:
        return False
    pairs = {" ".join(pair) for pair in pairwise(words)}
    if _STRONG & set(words) or _STRONG_PAIRS & pairs:
        return True
    if words == ["pwd"] or words[-2:] == ["per", "token"]:  # a folder, a measure
        return False
    return words[-1] in _WEAK or words[-1].endswith(_ENDS)


def names_password(name: str) -> bool:
    """Return whether a name stands for a password, wherever it is: nothing else is called so."""
    words = _words(name)
    return bool(words) and words[-1] in _PASSWORD


def _words(name: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(name)]


def _without_login(text: str) -> str:
    """Hide who logs in at an address, and by what: all before the last `@`, since passwords hold anything."""
    digest = _DIGEST.search(text)
    end = digest.start() if digest else len(text)
    login, separator, address = text[:end].rpartition("@")
    if not separator or ":" not in login:
        return text
    scheme = _SCHEME.match(login)
    return f"{scheme[0] if scheme else ''}{HIDDEN}@{address}{text[end:]}"


def _word(word: str) -> str:
    """Return a word without white space, or what may be shown of it."""
    if not _is_dense(word):
        return word
    scheme = _SCHEME.match(word)
    login, separator, address = word.rpartition("@")
    if separator and login.endswith(HIDDEN) and not _is_dense(address):
        return word
    return f"{scheme[0] if scheme else ''}{HIDDEN}"


def _is_dense(word: str) -> bool:
    """Return whether a word is one that people do not write: a token, a generated password, a key."""
    if _TOKEN.search(word) or _LONGEST_HEXADECIMAL.search(word):
        return True
    remainder = _AWS_ID.sub("", _DIGEST.sub("", word))
    if any(_is_generated(segment) for segment in _SEGMENT.findall(remainder)):
        return True
    return (
        len(word) >= _SHORTEST
        and bool(_SYMBOLS.search(word))
        and bool(re.search(r"[0-9]", word))
        and bool(re.search(r"[A-Za-z]", word))
    )


def _is_generated(segment: str) -> bool:
    """Return whether letters and digits in one go alternate as people's do not, or are too many."""
    runs = _RUN.findall(segment)
    if segment.isdecimal() or len(segment) < _SHORTEST:
        return len(segment) > _LONGEST_NUMBER
    if len(segment) > (_LONGEST_WORD if segment.isalpha() else _LONGEST_MIXED):
        return True
    return len(runs) >= (_HUMPS if segment.isalpha() else _TURNS) and len(segment) / len(runs) < _RUN_LENGTH
