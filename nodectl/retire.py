"""`nodectl retire`: workers that left the plan get no more requests, before their nodes are taken away.

Pulumi removes what left the plan after everything else, and so after the proof. By then a worker that is out
of the registry has ended the requests that it had: nothing is lost when it is stopped.
"""

import argparse
import json
import sys
import time
from collections.abc import Collection, Sequence
from http.client import HTTPException
from typing import Final

from pydantic import TypeAdapter

from nodectl import reading, registration
from nodectl.converge import say
from nodectl.manifest import MembersSpec
from nodectl.registration import Registered

_WHAT: Final = "the members of a deployment"
_POLL: Final = 0.2


def main(argv: Sequence[str]) -> int:
    """Withdraw the workers that are not among the members on standard input, once all members serve."""
    parser = argparse.ArgumentParser(prog="nodectl retire", description=main.__doc__)
    parser.parse_args(argv)
    spec = reading.checked(TypeAdapter(MembersSpec), reading.document(sys.stdin.read(), _WHAT), _WHAT)
    print(json.dumps({"retired": retire(spec)}))
    return 0


def retire(spec: MembersSpec) -> list[str]:
    """Return the addresses that were withdrawn: none while the members do not serve.

    Whoever still serves is needed then, and the proof, which comes next, says what is missing.
    """
    deadline = time.monotonic() + spec.seconds
    gone = leaving(_registered(spec.etcd, deadline), spec.workers.values())
    if not gone:
        return []
    from nodectl.rollout.members import all_serve  # noqa: PLC0415 - its HTTP client is rarely needed

    if not all_serve(spec, deadline):
        return []
    for one in gone:
        registration.withdraw(spec.etcd, one.key)
    addresses = sorted({one.address for one in gone})
    say(f"no more requests for {', '.join(addresses)}")
    return addresses


def leaving(registered: Collection[Registered], members: Collection[str]) -> list[Registered]:
    """Return what workers elsewhere than at the members' addresses have registered."""
    return [
        one for one in registered if one.component in registration.COMPONENTS and one.address not in members
    ]


def _registered(store: str, deadline: float) -> list[Registered]:
    """Return what is registered, as soon as etcd answers: on a new deployment it is still starting."""
    while time.monotonic() < deadline:
        try:
            return registration.registered(store)
        except (OSError, HTTPException, ValueError, KeyError):
            time.sleep(_POLL)
    return []
