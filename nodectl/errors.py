"""How nodectl's verbs fail: each error is one clear text and an exit code."""

from typing import ClassVar


class NodectlError(Exception):
    """Something did not work; the text says what, and what to do."""

    code: ClassVar[int] = 1


class BadInputError(NodectlError):
    """What was read or asked for cannot be; nothing was changed."""

    code = 2


class TimedOutError(NodectlError):
    """A bounded wait ended."""

    code = 3
