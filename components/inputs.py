"""Functions of inputs: applied at once to a plain value, which spares Pulumi an output for it."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import pulumi

T = TypeVar("T")
U = TypeVar("U")


def mapped(value: T | pulumi.Output[T], function: Callable[[T], U]) -> U | pulumi.Output[U]:
    """Return `function` of a value, or of the output's value once it is known."""
    return value.apply(function) if isinstance(value, pulumi.Output) else function(value)


def gathered(values: Mapping[str, T | pulumi.Output[T]]) -> Mapping[str, T] | pulumi.Output[Mapping[str, T]]:
    """Return values by name: as they are if all are plain, else once all are known."""
    plain_values = {name: value for name, value in values.items() if not isinstance(value, pulumi.Output)}
    return plain_values if len(plain_values) == len(values) else pulumi.Output.all(**values)
