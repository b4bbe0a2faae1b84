"""Whose an instance is: the project, stack and state that its tags name."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from planning.aws.state import PROJECT_TAG, STACK_TAG, STATE_TAG

PROJECT: Final = "dynamo"
"""Name of the Pulumi project, as Pulumi.yaml says."""


def tags_in(said: Iterable[Any]) -> dict[str, str]:
    """Return tags as EC2 lists them."""
    return {tag["Key"]: tag["Value"] for tag in said}


@dataclass(frozen=True)
class Fleet:
    """All that one stack of one state owns."""

    project: str
    stack: str
    state: str | None = None
    """Digest of backend and stack (`planning.aws.state`); None: not known, then every state's is ours."""

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Return whether what has these tags is of this stack, in this state."""
        return self._named(tags) and self.state in (None, tags.get(STATE_TAG))

    def rivals(self, tags: Mapping[str, str]) -> bool:
        """Return whether it is of a stack of the same name that another state holds."""
        return self._named(tags) and not self.owns(tags)

    def _named(self, tags: Mapping[str, str]) -> bool:
        return tags.get(STACK_TAG) == self.stack and tags.get(PROJECT_TAG) == self.project
