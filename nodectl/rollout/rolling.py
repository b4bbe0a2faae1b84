"""Changes one service when it is its turn, and gives the turn on once the service serves again."""

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from nodectl.common.errors import NodectlError, TimedOutError
from nodectl.common.steps import say
from nodectl.common.waiting import Progress, Wait
from nodectl.contract.manifest import Manifest, Rollout, RolloutService
from nodectl.dynamo.calls import CheckError
from nodectl.dynamo.frontend import Pin
from nodectl.etcd.client import AWAY_SECONDS
from nodectl.rollout import failures
from nodectl.rollout.failures import Failure
from nodectl.rollout.generations import PARTNERS, may_stop
from nodectl.rollout.locks import held, holders, kept
from nodectl.rollout.readiness import WARM_SECONDS, ReadinessWait
from nodectl.rollout.serving import Listings, Serving, ids, of_role, serving
from nodectl.services.excerpt import last_words
from nodectl.supervisors.supervisor import Supervisor

_FRONTEND_SECONDS: Final = 10.0
"""Seconds that frontends that do not answer are asked again until nothing is taken to serve."""

_OTHER_ROLE_SECONDS: Final = 15.0
"""Seconds without a change in the other role until none is expected: applies start together."""


@dataclass(frozen=True)
class RollingChanges:
    """The changes of one node's services. `manifest` has a rollout."""

    manifest: Manifest
    rollout: Rollout
    supervisor: Supervisor

    def change(self, name: str, restart: Callable[[], None]) -> None:
        """Change a service that runs by `restart`, in its turn, and wait until it serves.

        At once, and without waiting, where nobody of its role serves: then there is nothing to keep up.
        Raises `NodectlError` when it does not get healthy, another one of its role did not before, or etcd
        stays away: no frontend can say then who serves.
        """
        spec = self.rollout.services[name]
        with self._as_it_is(name):
            role_serves = asyncio.run(self._anyone_serves(name))
        if not role_serves:
            say(f"changing {name} at once: nothing of role {spec.role} serves")
            restart()
            return
        service = self.manifest.services[name]
        patience = service.stop.seconds + service.ready.seconds + WARM_SECONDS + AWAY_SECONDS
        with held(self.rollout, spec.role, self.manifest.node, name, patience):
            failure = failures.known(self.rollout, spec)
            with self._as_it_is(name):
                if failure:
                    self._refuse_after(failure, name)
                self._await_other_generation(name, patience)
                listings_before = asyncio.run(self._listings())
            start = time.monotonic()
            say(f"changing {name}")
            restart()
            self._wait(name, listings_before)
            say(f"{name} serves again after {time.monotonic() - start:.1f} s")
            if failure:
                failures.forget(self.rollout, spec.role)

    @contextmanager
    def _as_it_is(self, name: str) -> Iterator[None]:
        """Turn an etcd that stays away before `name` stops into an error that says what mends it."""
        try:
            yield
        except CheckError as error:
            raise NodectlError(kept(self.rollout, self.manifest.node, name, str(error))) from None

    def _await_other_generation(self, name: str, patience: float) -> None:
        """Wait for the next generation to be whole before the last worker of its role leaves this one.

        Only while workers of the other role are changing: who is not yet at it may be waiting for this apply.
        """
        spec = self.rollout.services[name]
        last_change = time.monotonic()

        def others_take_over() -> bool:
            nonlocal last_change
            if may_stop(asyncio.run(self._listings()), spec, self.rollout.namespace):
                return True
            now = time.monotonic()
            if holders(self.rollout, PARTNERS[spec.role]):
                last_change = now
            if now - last_change > _OTHER_ROLE_SECONDS:
                raise TimedOutError(f"nobody of role {PARTNERS[spec.role]} changes")
            return False

        progress = Progress(
            lambda _: say(f"{name} waits for {PARTNERS[spec.role]} workers of its new generation")
        )
        try:
            Wait("the new generation", patience, interval=0.3, progress=progress).until(others_take_over)
        except TimedOutError:
            say(f"changing {name} interrupts serving: no {PARTNERS[spec.role]} worker can take over")

    def _wait(self, name: str, listings_before: Listings) -> None:
        spec = self.rollout.services[name]
        try:
            asyncio.run(self._come_back(name, listings_before))
        except CheckError as error:
            failure = Failure(self.manifest.node, name, spec.address, spec.revision)
            failures.remember(self.rollout, spec.role, failure)
            raise NodectlError(
                f"{name} was changed and does not serve: {error}. What has not changed of role {spec.role} "
                f"stays as it is\n{last_words(self.supervisor, name)}"
            ) from None

    async def _come_back(self, name: str, listings_before: Listings) -> None:
        service, spec = self.manifest.services[name], self.rollout.services[name]
        namespace = self.rollout.namespace
        async with self._serving() as deployment:
            await ReadinessWait(
                deployment, self.supervisor, name, service, spec, namespace, listings_before
            ).wait()

    async def _listings(self) -> Listings:
        async with self._serving() as deployment:
            return await deployment.listings()

    async def _anyone_serves(self, name: str) -> bool:
        """Return whether the role serves; a service that is not healthy itself waits for no frontend."""
        spec = self.rollout.services[name]
        role_serves = False

        async def is_known() -> bool:
            nonlocal role_serves
            is_healthy = await deployment.is_healthy(self.manifest.services[name].ready)
            if spec.role == "frontend" and is_healthy:
                role_serves = True
                return True
            listings = await deployment.listings()
            role_serves = bool(of_role(listings, spec))
            return bool(listings) or not is_healthy

        async with self._serving() as deployment:
            await Wait("frontends", _FRONTEND_SECONDS, interval=0.3).holds_async(is_known)
        return role_serves

    def _serving(self) -> AbstractAsyncContextManager[Serving]:
        return serving(self.rollout.frontends, self.rollout.model, self.rollout.etcd)

    def _refuse_after(self, failure: Failure, name: str) -> None:
        """Keep a service as it is while the one that was changed in the same way before does not serve."""
        is_own = (failure.node, failure.service) == (self.manifest.node, name)
        if is_own or asyncio.run(self._answers(failure, self.rollout.services[name])):
            return
        raise NodectlError(
            f"{name} stays as it is: {failure.service} on {failure.node} got the same change and does not "
            f"serve; see `nodectl logs {failure.service}` there"
        )

    async def _answers(self, failure: Failure, spec: RolloutService) -> bool:
        async with self._serving() as deployment:
            listings = await deployment.listings()
            if spec.role == "frontend":
                return f"http://{failure.address}" in listings
            newest_id = max(ids(listings, failure.address), default=None)
            if newest_id is None or spec.role == "prefill":
                return newest_id is not None
            try:
                await deployment.ask(next(iter(listings)), Pin(decode=newest_id), failure.service)
            except CheckError:
                return False
            return True
