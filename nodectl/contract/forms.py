"""Types of values that several specifications have, each with the rule that the codec holds it to."""

import ipaddress
import math
import re
from typing import Annotated

from nodectl.contract.codec import Rule


def pattern(expression: str, expected: str) -> Rule:
    """Return the rule that all of a text matches a regular expression."""
    regex = re.compile(expression)
    return Rule(expected, lambda text: regex.fullmatch(text) is not None)


def between(least: int, most: float = math.inf) -> Rule:
    """Return the rule that a number is within bounds."""
    expected = f"at least {least}" if most == math.inf else f"a number from {least} to {most}"

    def holds(number: int) -> bool:
        return least <= number <= most

    return Rule(expected, holds)


def _is_network(text: str) -> bool:
    try:
        return str(ipaddress.ip_network(text)) == text
    except ValueError:
        return False


ServiceName = Annotated[str, pattern(r"[a-z0-9][a-z0-9-]*", "lower-case letters, digits and dashes")]
FileName = Annotated[str, pattern(r"[a-z0-9][a-z0-9._-]*", "the name of a file")]
EnvName = Annotated[str, pattern(r"[A-Za-z_][A-Za-z0-9_]*", "the name of an environment variable")]
HostPort = Annotated[str, pattern(r"[^\s/:]+:[0-9]+", "host:port")]
Network = Annotated[str, Rule("a range of addresses, such as 10.0.0.0/8 and 10.0.0.1/32", _is_network)]

Count = Annotated[int, between(0)]
Positive = Annotated[int, between(1)]
Port = Annotated[int, between(1, 65535)]
