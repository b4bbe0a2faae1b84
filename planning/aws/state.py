"""Which state a fleet belongs to, and that it is one which others see as well: nobody shall buy it twice."""

import hashlib
from typing import Final
from urllib.parse import unquote, urlsplit

from settings import Settings
from settings.aws import AwsTarget

STATE_TAG: Final = "dynamo-multinode:state"
ROLE_TAG: Final = "dynamo-multinode:role"
"""On Elastic IPs, network interfaces and instances: `head`, `worker`, or `nat`. The policy pack lets no other
Elastic IP pass than those of the head and the NAT gateway."""

_LENGTH: Final = 16
"""Hexadecimal digits: enough to tell the states of one account apart, short enough to read."""

_ON_THIS_MACHINE: Final = ("file", "")


def state_digest(backend: str, organization: str, project: str, stack: str) -> str:
    """Return what names the state of one stack, the same for everybody who uses that state.

    How an operator gets at a backend (profile, region: the part of the URL after `?`) does not count.
    """
    place = urlsplit(backend.strip())
    where = f"{place.scheme.lower()}://{place.netloc.lower()}{unquote(place.path).rstrip('/')}"
    whole = "\n".join((where, organization, project, stack))
    return hashlib.sha256(whole.encode()).hexdigest()[:_LENGTH]


def kept_on_this_machine(backend: str) -> bool:
    """Whether a backend is a folder of this machine, which no colleague and no other clone sees."""
    return urlsplit(backend.strip()).scheme.lower() in _ON_THIS_MACHINE


def refusal(settings: Settings, url: str) -> str | None:
    """Return why `up` may not keep a fleet's state at `url`; None where it may.

    State on one machine is seen by nobody else: the next clone would buy the fleet a second time.
    """
    target = settings.target
    if not isinstance(target, AwsTarget) or target.allow_local_state or not kept_on_this_machine(url):
        return None
    return (
        f"state would be kept at {url}, on this machine alone, and another clone would buy a second fleet: "
        "run `scripts/init STACK --backend s3://… --secrets-provider awskms://…` (docs/state.md), "
        "or write `allowLocalState: true` below `target`"
    )
