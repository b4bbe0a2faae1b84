"""Idleness of a deployment: how long it has had nothing to do, as its frontends' metrics tell. No effects.

Whatever is not known counts as work: a frontend that does not answer, a watch that has
just begun.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Final

_ANY: Final = re.compile(r"^\w*frontend_", re.MULTILINE)
_COUNTS: Final = re.compile(
    r"^\w*frontend_(requests_total|requests_started_total)(\{[^}]*\})? ([0-9.e+]+)", re.MULTILINE
)
_IN_FLIGHT: Final = re.compile(
    r"^\w*frontend_(inflight|active|queued)_requests(\{[^}]*\})? ([0-9.e+]+)", re.MULTILINE
)


@dataclass(frozen=True)
class Load:
    """The requests of the frontends since they started, and whether any is in progress."""

    requests: float
    busy: bool


class Word(Enum):
    """The action to take."""

    NOTHING = auto()
    WARN = auto()
    CALL_OFF = auto()
    END = auto()


def load(pages: Sequence[str]) -> Load | None:
    """Return the load from the metrics page of every frontend (Prometheus's text format).

    None where a page has no frontend's metrics at all: they were given names that are not known here.
    """
    if not all(_ANY.search(page) for page in pages):
        return None
    text = "\n".join(pages)
    in_flight = sum(float(groups[2]) for groups in _IN_FLIGHT.findall(text))
    return Load(sum(float(groups[2]) for groups in _COUNTS.findall(text)), in_flight > 0)


class Idleness:
    """Tells when a deployment has idled for too long. Times are seconds of one clock that never goes back."""

    def __init__(self, limit: float, warning: float) -> None:
        """`warning` is how long before the `limit` it is to be said."""
        self._limit = limit
        self._warning = min(warning, limit)
        self._since: float | None = None
        self._last: Load | None = None
        self._warned = False

    def see(self, now: float, load: Load | None) -> Word:
        """Return what to do after a look at the load; None: nobody could tell."""
        busy = load is None or load.busy or load != self._last
        self._last = load
        if busy or self._since is None:
            self._since = now
            was_warned, self._warned = self._warned, False
            return Word.CALL_OFF if was_warned else Word.NOTHING
        idle_seconds = now - self._since
        if idle_seconds >= self._limit:
            return Word.END
        if idle_seconds >= self._limit - self._warning and not self._warned:
            self._warned = True
            return Word.WARN
        return Word.NOTHING
