"""The workers that serve at this moment, as the frontends of a deployment list them."""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain
from typing import Final

import httpx

from nodectl.common.steps import say
from nodectl.common.waiting import Moment, Progress
from nodectl.contract.manifest import Ready, RolloutService
from nodectl.dynamo.calls import ANSWER_SECONDS, LOOK_SECONDS, CheckError, bounded
from nodectl.dynamo.frontend import Answer, Frontend, Pin
from nodectl.dynamo.registry import COMPONENTS, Listed
from nodectl.etcd import client
from nodectl.etcd.client import AWAY_SECONDS, EtcdUnavailableError

_RECONNECT_SECONDS: Final = 1.0
"""Seconds in which a frontend finds an etcd again that answers: 0.06 were measured on a busy machine."""

PROMPT: Final = "Say that you are there."

Listings = Mapping[str, Sequence[Listed]]
"""Frontend's URL -> the workers that it lists; without the frontends that do not answer."""


@dataclass(frozen=True)
class Serving:
    """Questions to the frontends of one deployment, each of them bounded."""

    http: httpx.AsyncClient
    frontends: Sequence[str]
    model: str
    etcd: str
    """`host:port` of the etcd from which the frontends take their lists."""

    async def listings(self, deadline: float = math.inf) -> Listings:
        """Return what each frontend that answers lists, by `deadline` on the monotonic clock.

        A frontend lists nobody while etcd is away, and goes on sending requests to whom it knew. So an empty
        list counts once etcd answers. Raises `CheckError` where etcd stays away for `AWAY_SECONDS`, or until
        the deadline.
        """
        listings = await self._listings(deadline)
        if all(listings.values()):
            return listings
        await self._await_etcd(deadline)
        await asyncio.sleep(_RECONNECT_SECONDS)
        return await self._listings(deadline)

    async def is_healthy(self, ready: Ready) -> bool:
        """Return whether a service of this node answers that it is."""
        try:
            return (
                ready.http is not None and (await self.http.get(ready.http, timeout=LOOK_SECONDS)).is_success
            )
        except httpx.HTTPError:
            return False

    async def ask(self, url: str, pin: Pin | None, label: str, deadline: float = math.inf) -> Answer:
        """Request a short completion, from the workers of `pin` if given. Raises `CheckError`."""
        async with bounded(deadline, ANSWER_SECONDS, label):
            answer = await Frontend(self.http, url).complete(self.model, PROMPT, pin)
        if pin and (answer.decode, answer.prefill if pin.prefill else None) != (pin.decode, pin.prefill):
            raise CheckError(f"{label}: answered by {answer.prefill} and {answer.decode} instead")
        return answer

    async def _await_etcd(self, deadline: float) -> None:
        def tell(moment: Moment) -> None:
            say(f"waiting for {moment.what}: while it is away no frontend can say who serves")

        wait = client.away(self.etcd, min(AWAY_SECONDS, deadline - time.monotonic()), Progress(tell))
        try:
            await wait.attempt_async(lambda: asyncio.to_thread(client.read, self.etcd))
        except EtcdUnavailableError as error:
            raise CheckError(str(error)) from None

    async def _listings(self, deadline: float) -> Listings:
        worker_lists = await asyncio.gather(*(self._listing(url, deadline) for url in self.frontends))
        return {
            url: workers
            for url, workers in zip(self.frontends, worker_lists, strict=True)
            if workers is not None
        }

    async def _listing(self, url: str, deadline: float) -> list[Listed] | None:
        try:
            async with bounded(deadline, LOOK_SECONDS, url):
                return await Frontend(self.http, url).workers()
        except CheckError:
            return None


@asynccontextmanager
async def serving(frontends: Sequence[str], model: str, etcd: str) -> AsyncIterator[Serving]:
    """Yield the questions to a deployment's frontends."""
    async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as http:
        yield Serving(http, frontends, model, etcd)


def of_role(listings: Listings, service: RolloutService) -> set[str]:
    """Return who serves in the role of `service`, itself too: frontends, or workers of any generation."""
    if service.role == "frontend":
        return set(listings)
    component = COMPONENTS[service.role]
    workers = chain.from_iterable(listings.values())
    return {worker.address for worker in workers if worker.component == component}


def ids(listings: Listings, address: str) -> set[int]:
    """Return the workers that any frontend lists at an address, dead ones included."""
    return {worker.id for workers in listings.values() for worker in workers if worker.address == address}
