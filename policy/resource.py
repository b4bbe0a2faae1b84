"""A resource as the rules see it: plain values, and a mark for what is not known before it exists."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final


class Unknown(Enum):
    """A value that a preview does not have yet; it is judged before the resource is created."""

    UNKNOWN = "unknown until it is created"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True)
class Resource:
    """One resource: its type token, its name in the stack, its properties as Pulumi writes them."""

    kind: str
    name: str
    props: Mapping[str, Any]
    needs: Mapping[str, Sequence["Resource"]] = field(default_factory=dict)
    """Property -> the resources that its value comes from; known to rules of whole stacks alone."""

    def items(self, key: str) -> list[Mapping[str, Any]]:
        """Return a property that is a list of structures, or one structure, without what is not known yet."""
        return items(self.props, key)


Check = Callable[[Resource], Iterator[str]]
"""Yields what is wrong with a resource, each with its remedy."""


@dataclass(frozen=True)
class Rule:
    """One rule of the pack."""

    name: str
    says: str
    check: Check
    whole_stack: bool = False
    """Whether it needs to know what the resource is made of: then it is judged once all are planned."""

    def violations(self, resource: Resource) -> list[str]:
        """Return what is wrong with a resource, each as one sentence that names it."""
        return [f"{resource.name}: {text}" for text in self.check(resource)]


def items(props: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the structures that a property holds; EC2's are lists, where at most one is allowed also one."""
    value = props.get(key)
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, Mapping)]


def texts(props: Mapping[str, Any], key: str) -> list[str]:
    """Return the texts that a property holds, one or a list of them, without what is not known yet."""
    value = props.get(key)
    found = value if isinstance(value, list) else [value]
    return [one for one in found if isinstance(one, str) and one]


def says_yes(value: object) -> bool:
    """Whether a switch is on: launch templates write it as text."""
    return value is True or (isinstance(value, str) and value.lower() == "true")
