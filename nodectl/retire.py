"""`nodectl retire`: workers that left the plan get no more requests, before their nodes are taken away.

Pulumi removes what left the plan after everything else, and so after the proof. By then a worker that is out
of the registry has ended the requests that it had: nothing is lost when it is stopped.
"""

import argparse
import asyncio
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
from nodectl.proof.asking import UnmetError
from nodectl.registration import Registered
from nodectl.rollout.serving import Serving, ids, serving

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
    if not gone or not asyncio.run(_members_serve(spec, deadline)):
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


async def _members_serve(spec: MembersSpec, deadline: float) -> bool:
    """Return whether every frontend lists all members and answers, before the deadline."""
    told = ""
    async with serving(spec.frontends, spec.model) as found:
        while time.monotonic() < deadline:
            try:
                trouble = await _missing(found, spec)
            except UnmetError as error:
                trouble = str(error)
            if not trouble:
                return True
            if trouble != told:
                say(f"workers that left go on for now: {trouble}")
                told = trouble
            await asyncio.sleep(_POLL)
    return False


async def _missing(found: Serving, spec: MembersSpec) -> str:
    """Return what keeps the members from serving, nothing when they do. Raises `UnmetError`."""
    listings = await found.listings()
    missing = [
        name
        for name, address in spec.workers.items()
        if not all(ids({url: listed}, address) for url, listed in listings.items())
    ]
    if len(listings) < len(spec.frontends) or missing:
        return f"waiting for {', '.join(missing) or 'frontends'}"
    for url in listings:
        await found.ask(url, None, url)
    return ""
