"""Ownership of instances, by the tags that name project, stack and state."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from account.responses import Answers, Instance, live
from planning.aws.state import PROJECT_TAG, STACK_TAG, STATE_TAG

PROJECT: Final = "dynamo"
"""Name of the Pulumi project, as in Pulumi.yaml."""


def tags_in(entries: Iterable[Any]) -> dict[str, str]:
    """Return tags by key, from a list of entries as in EC2's responses."""
    return {tag["Key"]: tag["Value"] for tag in entries}


@dataclass(frozen=True)
class Fleet:
    """The instances of one stack in one state backend."""

    project: str
    stack: str
    state: str | None = None
    """Digest of backend and stack (`planning.aws.state`); None if not known: then any state matches."""

    def instances(self, answers: Answers) -> list[Instance]:
        """Return the existing instances of the stack; empty if the account's instances were not listed."""
        return [
            instance
            for instances in live(answers.instances)
            for instance in instances
            if self.owns(instance.tags)
        ]

    def owns(self, tags: Mapping[str, str]) -> bool:
        """Return whether a resource with these tags belongs to this stack in this state."""
        return self._of_same_stack(tags) and self.state in (None, tags.get(STATE_TAG))

    def rivals(self, tags: Mapping[str, str]) -> bool:
        """Return whether it belongs to a stack of the same name in another state."""
        return self._of_same_stack(tags) and not self.owns(tags)

    def _of_same_stack(self, tags: Mapping[str, str]) -> bool:
        return tags.get(STACK_TAG) == self.stack and tags.get(PROJECT_TAG) == self.project
