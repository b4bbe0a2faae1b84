"""Tokens that stand for folders of the node: `${data}`, `${models}`, `${s3}`, `${model}` (from the hub).

They are filled in values of flags and of the environment, and in files of services; `$${data}` stays the text
`${data}`.
"""

import re
from collections.abc import Mapping
from typing import Final

NAMES: Final = ("data", "models", "s3", "model")

_TOKEN: Final = re.compile(rf"(\$*)\$\{{({'|'.join(NAMES)})\}}")


def fill(text: str, folders: Mapping[str, str]) -> str:
    """Return text with the node's folders in place of their tokens; a token without a folder stays."""
    return _TOKEN.sub(lambda match: match[0][1:] if match[1] else folders.get(match[2], match[0]), text)


def literal(text: str) -> str:
    """Return what `fill` makes `text` of, such as a name, which may hold anything."""
    return _TOKEN.sub(lambda match: f"${match[0]}", text)
