"""A script and its arguments as the one text that SSH hands to the login shell of the user over there."""

import base64
import shlex
from collections.abc import Sequence


def login_shell_command(script: str, name: str, arguments: Sequence[str]) -> str:
    """Return what runs `script` by sh with `arguments` as $1, $2 …; whatever they hold stays an argument.

    The login shell, which may be a csh or a fish, sees one line of what all shells agree on: in quotes, a csh
    takes neither a new line nor an exclamation mark.
    """
    command = shlex.join(["exec", "sh", "-c", script, name, *arguments])
    encoded = base64.b64encode(command.encode()).decode()
    return f"exec sh -c 'eval \"$(echo {encoded} | base64 -d)\"'"
