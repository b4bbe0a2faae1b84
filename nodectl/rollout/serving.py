"""What serves at this moment, as the frontends of a deployment say it."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import httpx

from nodectl.manifest import Ready, RolloutService
from nodectl.proof.asking import UnmetError, asking
from nodectl.proof.checks import ANSWER_SECONDS, LOOK_SECONDS
from nodectl.proof.frontend import Answer, Frontend, Pin
from nodectl.proof.registry import COMPONENTS, Listed

PROMPT: Final = "Say that you are there."

Listings = Mapping[str, Sequence[Listed]]
"""Frontend's URL -> the workers that it lists; without the frontends that do not answer."""


@dataclass(frozen=True)
class Serving:
    """Questions to the frontends of one deployment, each of them bounded."""

    http: httpx.AsyncClient
    frontends: Sequence[str]
    model: str

    async def listings(self) -> Listings:
        """Return what each frontend that answers lists."""
        found = await asyncio.gather(*map(self._listing, self.frontends))
        return {url: listed for url, listed in zip(self.frontends, found, strict=True) if listed is not None}

    async def is_healthy(self, ready: Ready) -> bool:
        """Return whether a service of this node answers that it is."""
        try:
            return (
                ready.http is not None and (await self.http.get(ready.http, timeout=LOOK_SECONDS)).is_success
            )
        except httpx.HTTPError:
            return False

    async def ask(self, url: str, pin: Pin | None, whom: str) -> Answer:
        """Have a short completion answered, by the workers of `pin` if given. Raises `UnmetError`."""
        async with asking(asyncio.get_running_loop().time() + ANSWER_SECONDS, ANSWER_SECONDS, whom):
            answer = await Frontend(self.http, url).complete(self.model, PROMPT, pin)
        if pin and (answer.decode, answer.prefill if pin.prefill else None) != (pin.decode, pin.prefill):
            raise UnmetError(f"{whom}: answered by {answer.prefill} and {answer.decode} instead")
        return answer

    async def _listing(self, url: str) -> list[Listed] | None:
        try:
            async with asking(asyncio.get_running_loop().time() + LOOK_SECONDS, LOOK_SECONDS, url):
                return await Frontend(self.http, url).workers()
        except UnmetError:
            return None


@asynccontextmanager
async def serving(frontends: Sequence[str], model: str) -> AsyncIterator[Serving]:
    """Yield the questions to a deployment's frontends."""
    async with httpx.AsyncClient(timeout=ANSWER_SECONDS, trust_env=False) as http:
        yield Serving(http, frontends, model)


def of_role(listings: Listings, service: RolloutService) -> set[str]:
    """Return who serves in the role of `service`, itself too: frontends, or workers of any generation."""
    if service.role == "frontend":
        return set(listings)
    component = COMPONENTS[service.role]
    return {one.address for listed in listings.values() for one in listed if one.component == component}


def ids(listings: Listings, address: str) -> set[int]:
    """Return the workers that any frontend lists at an address, dead ones included."""
    return {one.id for listed in listings.values() for one in listed if one.address == address}
