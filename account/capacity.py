"""Why instances did not come to be, by the engine's events, and which zones might have room.

The events are those of `pulumi up --event-log FILE`: one JSON document a line. Codes: "Error codes for the
Amazon EC2 API" in its reference.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from account.login import Login, LoginError
from account.queries import Question, offerings, reply
from account.requirements import Wanted
from account.responses import Answer, NoAnswer, Reply

_INSTANCE: Final = "aws:ec2/instance:Instance"
"""Type of the resource, as URNs have it."""

_CAPACITY: Final = frozenset(
    {
        "InsufficientInstanceCapacity",
        "InsufficientCapacity",
        "InsufficientHostCapacity",
        "UnfulfillableCapacity",
        "Unsupported",
    }
)
_TIMED_OUT: Final = re.compile(
    r"context deadline exceeded|request canceled|timeout while waiting", re.IGNORECASE
)
_NO_CODE: Final = "no answer in time"
_REMEDIES: Final[Mapping[str, str]] = {
    "ReservationCapacityExceeded": "the reservation is full: enlarge it, or wait some minutes if "
    "instances just ended in it",
    "VcpuLimitExceeded": "a quota of the account is too small: `scripts/plan STACK --account` shows it",
    "MaxSpotInstanceCountExceeded": "the spot quota is too small: `scripts/plan STACK --account` shows it",
    "SpotMaxPriceTooLow": "the spot price is above the on-demand price: try later, or another zone",
}
"""Code -> what it means and what to do, where other zones are no help."""


@dataclass(frozen=True, order=True)
class Failure:
    """An instance that did not come to be."""

    node: str
    code: str


def failures(events: Iterable[str]) -> list[Failure]:
    """Return the instances that failed for want of capacity or quota; of other failures Pulumi tells."""
    found = {failure for line in events for failure in _failure(line)}
    return sorted(each for each in found if each.code != _NO_CODE or not _told(each.node, found))


def explain(
    wanted: Wanted, failed: Sequence[Failure], zones: Reply[Mapping[str, Sequence[str]]]
) -> list[str]:
    """Return what to do about the failures: lines for a reader; none where nothing failed so."""
    lines = []
    for code in dict.fromkeys(each.code for each in failed):
        nodes = ", ".join(each.node for each in failed if each.code == code)
        if code in _REMEDIES:
            lines.append(f"capacity   {nodes}: {code}: {_REMEDIES[code]}")
        else:
            lines.append(
                f"capacity   {nodes}: EC2 had no {_types(wanted)} in {wanted.zone} ({code}); nothing "
                "is wrong with the stack file"
            )
    if any(each.code not in _REMEDIES for each in failed):
        lines.append(f"try        {_elsewhere(wanted, zones)}")
    return lines


def zones_of(wanted: Wanted, login: Login) -> Reply[Mapping[str, Sequence[str]]]:
    """Ask which zones offer the types; no answer where nobody can be asked."""

    try:
        ec2 = login.open().client("ec2")
    except LoginError as error:
        return NoAnswer(Question.OFFERINGS.what, str(error))
    return reply(Question.OFFERINGS, lambda: offerings(ec2, wanted.types))


def _failure(line: str) -> Iterator[Failure]:
    try:
        event: Mapping[str, Any] = json.loads(line).get("diagnosticEvent") or {}
    except ValueError:
        return  # the last line of an engine that was killed
    urn, message = event.get("urn", ""), event.get("message", "")
    kind, _, name = urn.rpartition("::")
    if event.get("severity") != "error" or not kind.endswith(_INSTANCE):
        return
    codes = [code for code in (*_CAPACITY, *_REMEDIES) if re.search(rf"\b{code}\b", message)]
    if codes or _TIMED_OUT.search(message):
        yield Failure(name, min(codes, default=_NO_CODE))


def _told(node: str, found: Iterable[Failure]) -> bool:
    return any(each.node == node and each.code != _NO_CODE for each in found)


def _types(wanted: Wanted) -> str:
    return " or ".join(wanted.types)


def _elsewhere(wanted: Wanted, zones: Reply[Mapping[str, Sequence[str]]]) -> str:
    later = (
        "the same command later (what exists is kept), or capacity bought ahead (`option: capacity-block`)"
    )
    if not isinstance(zones, Answer):
        return later
    everywhere = set.intersection(*(set(zones.value.get(name, ())) for name in wanted.types))
    others = ", ".join(sorted(everywhere - {wanted.zone}))
    return (
        f"another zone, which offers it too: write one of {others} as `target.zone`; or {later}"
        if others
        else later
    )
