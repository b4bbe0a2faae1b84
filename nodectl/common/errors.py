"""Errors of nodectl's verbs: each is one clear text and an exit code."""

from typing import ClassVar


class NodectlError(Exception):
    """Something did not work; the text says what, and what to do."""

    code: ClassVar[int] = 1


class BadInputError(NodectlError):
    """The input or the request is not valid; nothing was changed."""

    code = 2


class TimedOutError(NodectlError):
    """A bounded wait ended."""

    code = 3


class NothingAppliedError(NodectlError):
    """No manifest was applied to the node: it was never set up, or its disk is not the one of before."""

    code = 4
