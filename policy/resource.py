"""A resource as plain values, with a marker for values that are not known before it exists."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final


class Unknown(Enum):
    """A value not known in a preview; it is checked before the resource is created."""

    UNKNOWN = "unknown until it is created"


UNKNOWN: Final = Unknown.UNKNOWN


@dataclass(frozen=True)
class Resource:
    """One resource: type token, name in the stack, and properties as Pulumi spells them."""

    kind: str
    name: str
    props: Mapping[str, Any]
    dependencies: Mapping[str, Sequence["Resource"]] = field(default_factory=dict)
    """Property -> the resources that its value comes from; known only to rules of whole stacks."""

    def items(self, key: str) -> list[Mapping[str, Any]]:
        """Return a property that is a list of structures, or one structure, without unknown values."""
        return items(self.props, key)


Check = Callable[[Resource], Iterator[str]]
"""Yields the violations of a resource, each with its remedy."""


@dataclass(frozen=True)
class Rule:
    """One rule of the pack."""

    name: str
    description: str
    check: Check
    whole_stack: bool = False
    """Whether it needs the resource's dependencies: then it is checked once all resources are planned."""

    def violations(self, resource: Resource) -> list[str]:
        """Return the violations of a resource, each as a sentence that names it."""
        return [f"{resource.name}: {text}" for text in self.check(resource)]


def items(props: Mapping[str, Any], key: str) -> list[Mapping[str, Any]]:
    """Return the structures of a property: a list, or one structure where EC2 allows at most one."""
    value = props.get(key)
    values = value if isinstance(value, list) else [value]
    return [item for item in values if isinstance(item, Mapping)]


def texts(props: Mapping[str, Any], key: str) -> list[str]:
    """Return the texts of a property, one or a list of them, without unknown values."""
    value = props.get(key)
    values = value if isinstance(value, list) else [value]
    return [text for text in values if isinstance(text, str) and text]


def is_on(value: object) -> bool:
    """Return whether a switch is on; launch templates write it as text."""
    return value is True or (isinstance(value, str) and value.lower() == "true")
