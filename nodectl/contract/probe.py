"""The specification of `nodectl probe`, as it crosses the wire."""

import json
from collections.abc import Sequence
from typing import NamedTuple

from nodectl.common.errors import BadInputError


class ProbeTarget(NamedTuple):
    """A port of another node that a node needs."""

    node: str
    endpoint: str
    """`host:port`."""
    why: str


class Transfer(NamedTuple):
    """A worker of the node whose log must show that it moves KV blocks by `backend`, NIXL's name of it."""

    service: str
    backend: str
    health: str
    """URL that answers 200 when the worker is healthy."""
    seconds: int
    """How long its start may take."""
    revision: str
    """Digest of how the worker is started: another one is looked at anew."""


class ProbeSpec(NamedTuple):
    """The endpoints that one node must be able to connect to, and its workers' transfer backends."""

    node: str
    targets: Sequence[ProbeTarget]
    seconds: int
    """How long a way may take to open."""
    transfers: Sequence[Transfer] = ()

    def written(self) -> str:
        """Return it as JSON, without transfers where there are none."""
        spec = self._asdict() | {"targets": [target._asdict() for target in self.targets]}
        spec["transfers"] = [transfer._asdict() for transfer in self.transfers]
        return json.dumps({key: value for key, value in spec.items() if value != []})

    @classmethod
    def read(cls, text: str) -> "ProbeSpec":
        """Return what `written` wrote. Raises `BadInputError` for anything else, without repeating it."""
        try:
            found = json.loads(text)
            found["targets"] = [ProbeTarget(**one) for one in found.get("targets", ())]
            found["transfers"] = [Transfer(**one) for one in found.get("transfers", ())]
            return cls(**found)
        except (ValueError, RecursionError, KeyError, TypeError, AttributeError):
            raise BadInputError(
                "standard input: expected a probe spec as JSON; use the same release of this project here and"
                " there"
            ) from None
