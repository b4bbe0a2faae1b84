"""The state that a fleet belongs to: the tag by which a second fleet of the same name is told apart."""

import hashlib
from typing import Final
from urllib.parse import unquote, urlsplit

PROJECT_TAG: Final = "dynamo-multinode:project"
STACK_TAG: Final = "dynamo-multinode:stack"
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
    url = urlsplit(backend.strip())
    location = f"{url.scheme.lower()}://{url.netloc.lower()}{unquote(url.path).rstrip('/')}"
    identity = "\n".join((location, organization, project, stack))
    return hashlib.sha256(identity.encode()).hexdigest()[:_LENGTH]


def kept_on_this_machine(backend: str) -> bool:
    """Return whether a backend is a folder of this machine, which no colleague and no other clone sees."""
    return urlsplit(backend.strip()).scheme.lower() in _ON_THIS_MACHINE


def local_state(backend: str, stack: str) -> str:
    """Return why state on this machine is refused, and what to do."""
    return (
        f"shared state: that of {stack} would be in {backend or 'no backend'}, on this machine, where a "
        f"second clone would buy a second fleet; run `scripts/init {stack} --backend s3://BUCKET "
        '--secrets-provider "awskms://alias/KEY?region=REGION"`, or write '
        "`allowLocalState: true` below `target`"
    )
