"""Whether all workers that belong to a deployment serve."""

import asyncio
import time
from typing import Final

from nodectl.converge import say
from nodectl.manifest import ProofSpec
from nodectl.proof.asking import UnmetError
from nodectl.rollout.serving import Serving, ids, serving

_POLL: Final = 0.2


def all_serve(spec: ProofSpec, deadline: float) -> bool:
    """Return whether every frontend lists all members and answers, before the deadline (monotonic clock)."""
    return asyncio.run(_all_serve(spec, deadline))


async def _all_serve(spec: ProofSpec, deadline: float) -> bool:
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


async def _missing(found: Serving, spec: ProofSpec) -> str:
    """Return what keeps the members from serving, nothing when they do. Raises `UnmetError`."""
    listings = await found.listings()
    missing = [
        name
        for name, address in ((one.service, one.request_plane) for one in spec.instances)
        if not all(ids({url: listed}, address) for url, listed in listings.items())
    ]
    if len(listings) < len(spec.frontends) or missing:
        return f"waiting for {', '.join(missing) or 'frontends'}"
    for url in listings:
        await found.ask(url, None, url)
    return ""
