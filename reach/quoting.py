"""A script and its arguments as the one text that SSH hands to the login shell of the user over there."""

import shlex
from collections.abc import Sequence


def remote(script: str, name: str, arguments: Sequence[str]) -> str:
    """Return what runs `script` by sh with `arguments` as $1, $2 …; whatever they hold stays an argument."""
    return shlex.join(["exec", "sh", "-c", script, name, *arguments])
