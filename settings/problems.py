"""Problems of a stack file: reported all at once, each with key, value and remedy."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from nodectl.common.redaction import redacted, without_known_secrets

STACK: Final = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Placeholder in messages for the name of the stack, filled in when shown, so that commands can be typed."""


@dataclass(frozen=True, order=True)
class Problem:
    """One problem of a stack file.

    `key` is the path below `dynamo:` as the user wrote it (`roles.prefill.parallelism.tensor`), `message`
    says what was expected, why, and what to do, `value` is the given value, printed after the key.
    """

    key: str
    message: str
    value: str = ""

    @property
    def subject(self) -> str:
        """Return the key, with the given value if there is one and it is no secret."""
        return f"{self.key}: {redacted(self.value)}" if self.value else self.key


class StackFileError(ValueError):
    """The stack file is invalid or cannot be planned; nothing was created.

    Raised with every problem found, by `settings` and by `planning`.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(sorted(set(problems)))
        super().__init__(self._text("STACK"))

    def of(self, stack: str) -> str:
        """Return the text for users, under the name of the stack's file."""
        return f"stacks/Pulumi.{redacted(stack)}.yaml\n{self._text(stack)}"

    def _text(self, stack: str) -> str:
        width = max((len(problem.subject) for problem in self.problems), default=0)
        lines = [f"  {problem.subject:<{width}}  {problem.message}" for problem in self.problems]
        count = len(self.problems)
        lines.append(f"{count} problem{'s' if count != 1 else ''}, nothing was created")
        return without_known_secrets("\n".join(lines)).replace(STACK, redacted(stack))
