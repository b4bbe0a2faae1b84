"""Capacity errors of a failed `up`, read from the engine's events, and the zones to try next.

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
from account.requirements import Requirements
from account.responses import Answer, NoAnswer, Reply

_INSTANCE_TYPE: Final = "aws:ec2/instance:Instance"
"""Resource type in URNs."""

_CAPACITY: Final = frozenset(
    {
        "InsufficientInstanceCapacity",
        "InsufficientCapacity",
        "InsufficientHostCapacity",
        "UnfulfillableCapacity",
        "Unsupported",
    }
)
_TIMEOUT: Final = re.compile(
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
"""Error code -> meaning and remedy, where another zone does not help."""


@dataclass(frozen=True, order=True)
class Failure:
    """An instance that was not created, and EC2's error code."""

    node: str
    code: str


def failures(events: Iterable[str]) -> list[Failure]:
    """Return the instances that failed for lack of capacity or quota. Pulumi reports other failures."""
    failed = {failure for line in events for failure in _failure(line)}
    return sorted(
        failure for failure in failed if failure.code != _NO_CODE or not _has_code(failure.node, failed)
    )


def explain(
    requirements: Requirements, failed: Sequence[Failure], zones: Reply[Mapping[str, Sequence[str]]]
) -> list[str]:
    """Return lines that explain the failures and their remedies; empty if `failed` is empty."""
    lines = []
    for code in dict.fromkeys(failure.code for failure in failed):
        nodes = ", ".join(failure.node for failure in failed if failure.code == code)
        if code in _REMEDIES:
            lines.append(f"capacity   {nodes}: {code}: {_REMEDIES[code]}")
        else:
            lines.append(
                f"capacity   {nodes}: EC2 had no {_types(requirements)} in {requirements.zone} ({code}); "
                "nothing is wrong with the stack file"
            )
    if any(failure.code not in _REMEDIES for failure in failed):
        lines.append(f"try        {_remedy(requirements, zones)}")
    return lines


def zones_of(requirements: Requirements, login: Login) -> Reply[Mapping[str, Sequence[str]]]:
    """Return the zones that offer each instance type; NoAnswer if AWS cannot be queried."""

    try:
        ec2 = login.open().client("ec2")
    except LoginError as error:
        return NoAnswer(Question.OFFERINGS.subject, str(error))
    return reply(Question.OFFERINGS, lambda: offerings(ec2, requirements.types))


def _failure(line: str) -> Iterator[Failure]:
    try:
        event: Mapping[str, Any] = json.loads(line).get("diagnosticEvent") or {}
    except ValueError:
        return  # the last line of an engine that was killed
    urn, message = event.get("urn", ""), event.get("message", "")
    kind, _, name = urn.rpartition("::")
    if event.get("severity") != "error" or not kind.endswith(_INSTANCE_TYPE):
        return
    codes = [code for code in (*_CAPACITY, *_REMEDIES) if re.search(rf"\b{code}\b", message)]
    if codes or _TIMEOUT.search(message):
        yield Failure(name, min(codes, default=_NO_CODE))


def _has_code(node: str, failed: Iterable[Failure]) -> bool:
    return any(failure.node == node and failure.code != _NO_CODE for failure in failed)


def _types(requirements: Requirements) -> str:
    return " or ".join(requirements.types)


def _remedy(requirements: Requirements, zones: Reply[Mapping[str, Sequence[str]]]) -> str:
    retry = (
        "the same command later (what exists is kept), or capacity bought ahead (`option: capacity-block`)"
    )
    if not isinstance(zones, Answer):
        return retry
    offering = set.intersection(*(set(zones.value.get(name, ())) for name in requirements.types))
    alternatives = ", ".join(sorted(offering - {requirements.zone}))
    return (
        f"another zone, which offers it too: write one of {alternatives} as `target.zone`; or {retry}"
        if alternatives
        else retry
    )
