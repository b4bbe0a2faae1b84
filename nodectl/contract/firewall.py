"""The connections that a node accepts."""

from dataclasses import dataclass

from nodectl.contract.forms import Network, Port


@dataclass(frozen=True, kw_only=True)
class Opening:
    """TCP ports of a node, `first` to `last`, and who may connect to them."""

    first: Port
    last: Port
    sources: list[Network]
    """Ranges of addresses; none: anybody."""
    group: bool = False
    """Whether the sources are other nodes of the deployment."""
    why: list[str]


@dataclass(frozen=True, kw_only=True)
class Firewall:
    """The connections that a node accepts; a host refuses every other one but SSH."""

    openings: list[Opening]
