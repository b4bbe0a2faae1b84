"""Check that all workers that belong to a deployment serve."""

import asyncio
import time

from nodectl.common.steps import say
from nodectl.common.waiting import NotYetError, Progress, Wait
from nodectl.contract.proof import ProofSpec
from nodectl.dynamo.calls import CheckError
from nodectl.rollout.serving import Serving, ids, serving


def all_serve(spec: ProofSpec, deadline: float) -> bool:
    """Return whether every frontend lists all members and answers, before the deadline (monotonic clock)."""
    return asyncio.run(_all_serve(spec, deadline))


async def _all_serve(spec: ProofSpec, deadline: float) -> bool:
    progress = Progress(lambda moment: say(f"workers that left go on for now: {moment.seen}"), changes=True)
    seconds = deadline - time.monotonic()
    wait = Wait("members", seconds, interval=0.2, progress=progress, pending=(CheckError,))
    async with serving(spec.frontends, spec.model, spec.etcd) as deployment:
        return await wait.holds_async(lambda: _serve_now(deployment, spec, deadline))


async def _serve_now(deployment: Serving, spec: ProofSpec, deadline: float) -> bool:
    """Return True when the members serve. Raises `NotYetError` and `CheckError` with what is missing."""
    listings = await deployment.listings(deadline)
    missing = [
        instance.service
        for instance in spec.instances
        if not all(ids({url: workers}, instance.request_plane) for url, workers in listings.items())
    ]
    if len(listings) < len(spec.frontends) or missing:
        raise NotYetError(f"waiting for {', '.join(missing) or 'frontends'}")
    for url in listings:
        await deployment.ask(url, None, url, deadline)
    return True
