"""Readiness of a changed service: healthy, listed by the frontends, and warm."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final

from nodectl.common.steps import say
from nodectl.common.waiting import Moment, NotYetError, Progress, Wait
from nodectl.contract.manifest import RolloutService, Service
from nodectl.dynamo.calls import CheckError
from nodectl.dynamo.frontend import Pin
from nodectl.dynamo.registry import COMPONENTS
from nodectl.rollout.generations import PARTNERS
from nodectl.rollout.serving import Listings, Serving, ids
from nodectl.supervisors.supervisor import Supervisor

_TELL_EVERY: Final = 15.0

RESTARTS: Final = 3
"""A service that ended this often without getting healthy will not get there by itself."""

PAUSES: Final = (0.0, 1.0, 2.0, 4.0, 8.0)
"""Seconds before each try to warm a worker: the first NIXL handshake of a pair may fail on a busy machine."""

WARM_SECONDS: Final = 120.0
"""About how long warming may take at most."""


@dataclass(frozen=True)
class ReadinessWait:
    """The return of one service that is about to change."""

    serving: Serving
    supervisor: Supervisor
    name: str
    service: Service
    spec: RolloutService
    namespace: str
    """Namespace in which the workers that it may be paired with are registered."""
    before: Listings
    """The frontends' lists of workers from before the change."""

    async def wait(self) -> None:
        """Return when the service serves; raise `CheckError` when it does not in its time."""
        if self.spec.role == "frontend":
            await self._until(self._frontend_serves)
            return
        await self._until(self._worker_is_listed)
        await self._warm()

    async def _until(self, look: Callable[[float], Awaitable[None]]) -> None:
        """Look again and again until nothing is missing, for as long as the service may take to start."""
        start = time.monotonic()
        limit = self.service.ready.seconds

        async def look_unless_it_ends() -> None:
            try:
                await look(start + limit)
            except CheckError as error:
                state = self.supervisor.states().get(self.name)
                if state and state.restarts >= RESTARTS:
                    seconds = time.monotonic() - start
                    raise CheckError(f"ended {state.restarts} times within {seconds:.0f} s") from None
                raise NotYetError(str(error)) from None

        await Wait(
            self.name,
            limit,
            interval=0.2,
            progress=Progress(lambda moment: say(str(moment)), after=_TELL_EVERY, every=_TELL_EVERY),
            failure=_after,
        ).attempt_async(look_unless_it_ends)

    async def _frontend_serves(self, deadline: float) -> None:
        """Hold when the frontend answers for all kinds of workers that it knew before."""
        await self._is_healthy()
        url = f"http://{self.spec.address}"
        listings = await self.serving.listings(deadline)
        earlier_paths, current_paths = (
            {worker.path for worker in snapshot.get(url, ())} for snapshot in (self.before, listings)
        )
        if not current_paths >= earlier_paths:
            raise CheckError(
                f"the frontend has yet to find {', '.join(sorted(earlier_paths - current_paths))}"
            )
        if earlier_paths:
            await self.serving.ask(url, None, "the frontend")

    async def _worker_is_listed(self, deadline: float) -> None:
        """Hold when every frontend that answers lists the worker's new life."""
        await self._is_healthy()
        listings = await self.serving.listings(deadline)
        if not listings:
            raise CheckError("no frontend answers")
        blind_frontends = [url for url in listings if not self._new_id({url: listings[url]})]
        if blind_frontends:
            raise CheckError(f"not listed at {self.spec.address} by {', '.join(blind_frontends)}")

    async def _is_healthy(self) -> None:
        if not await self.serving.is_healthy(self.service.ready):
            raise CheckError("not healthy")

    def _new_id(self, listings: Listings) -> int | None:
        """Return the worker's id, which is another in each life."""
        new_ids = ids(listings, self.spec.address) - ids(self.before, self.spec.address)
        return max(new_ids, default=None)

    async def _warm(self) -> None:
        """Send the worker a request with each partner: one at least must answer, the others are reported."""
        troubles: list[CheckError] = []
        answered_pins: set[Pin] = set()
        for pause in PAUSES:
            await asyncio.sleep(pause)
            listings = await self.serving.listings()
            pins = [pin for pin in self._pins(listings) if pin not in answered_pins]
            troubles = []
            for pin in pins:
                try:
                    await self.serving.ask(next(iter(listings)), pin, "warming")
                    answered_pins.add(pin)
                except CheckError as error:
                    troubles.append(error)
            if not troubles:
                return
        if not answered_pins:
            raise CheckError(f"healthy and listed, but {troubles[0]}")
        say(f"{self.name} serves, but not with all partners: {troubles[0]}")

    def _pins(self, listings: Listings) -> Sequence[Pin]:
        """Return the requests that reach this worker: one for each worker of the other phase, if any."""
        worker_id = self._new_id(listings)
        if worker_id is None:
            return []
        workers = list(chain.from_iterable(listings.values()))
        if self.spec.role not in PARTNERS:
            return [Pin(decode=worker_id)]
        path = f"{self.namespace}/{COMPONENTS[PARTNERS[self.spec.role]]}"
        partners = sorted({worker.id for worker in workers if worker.path == path})
        if self.spec.role == "prefill":
            return [Pin(decode=partner, prefill=worker_id) for partner in partners]
        return [Pin(decode=worker_id, prefill=partner) for partner in partners]


def _after(moment: Moment) -> CheckError:
    return CheckError(f"{moment.seen} after {moment.seconds:.0f} s")
