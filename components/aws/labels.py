"""The tags of everything that is created: whose it is, for people, for bills and for look-ups."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from planning.aws.state import PROJECT_TAG, ROLE_TAG, STACK_TAG, STATE_TAG

Role = Literal["head", "worker", "nat"]


@dataclass(frozen=True)
class Labels:
    """Project and stack, the digest of the state that owns them, and the tags that the stack file adds."""

    project: str
    stack: str
    state: str
    given: Mapping[str, str]

    def of(self, name: str, role: Role | None = None) -> dict[str, str]:
        """Return the tags of the resource that is called `name` within the stack, and plays a role in it."""
        return {
            **self.given,
            "Name": f"{self.project}-{self.stack}-{name}",
            PROJECT_TAG: self.project,
            STACK_TAG: self.stack,
            STATE_TAG: self.state,
            **({} if role is None else {ROLE_TAG: role}),
        }
