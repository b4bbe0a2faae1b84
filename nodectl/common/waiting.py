"""Wait for a condition: ask, pause, ask again, up to a deadline, and report now and then what is missing."""

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeVar

from nodectl.common.errors import TimedOutError

T = TypeVar("T")


class NotYetError(Exception):
    """The condition does not hold yet; the text is what was seen instead."""


@dataclass(frozen=True)
class Moment:
    """The state of a wait. Written out, it is the sentence that an error or a line of progress may say."""

    what: str
    """The name of what is waited for."""
    seen: str
    """The state at the last try; empty where the condition does not say."""
    waited: float
    """Seconds since the wait began."""
    seconds: float
    """Seconds that the wait may take; infinite without a deadline."""

    def __str__(self) -> str:
        state = f": {self.seen}" if self.seen else ""
        bound = "" if math.isinf(self.seconds) else f" of {self.seconds:.0f}"
        return f"waiting for {self.what}{state} ({self.waited:.0f} s{bound})"


class WaitTimeoutError(TimedOutError):
    """The deadline of a wait has passed; `moment` says how far it was."""

    def __init__(self, moment: Moment) -> None:
        state = f": {moment.seen}" if moment.seen else ""
        super().__init__(f"{moment.what}: not within {moment.seconds:.0f} s{state}")
        self.moment = moment


class Clock(Protocol):
    """Source of the time of a wait, and of its pauses."""

    def now(self) -> float:
        """Return seconds on a clock that only goes forward."""

    def sleep(self, seconds: float) -> None:
        """Pause a thread."""

    async def pause(self, seconds: float) -> None:
        """Pause a coroutine."""


class MonotonicClock:
    """The machine's own clock."""

    def now(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    async def pause(self, seconds: float) -> None:
        import asyncio  # noqa: PLC0415 - it takes long to load, and a start of a service waits without it

        await asyncio.sleep(seconds)


MONOTONIC: Final = MonotonicClock()


@dataclass(frozen=True)
class Progress:
    """The reports of a wait: at what times, and to whom."""

    tell: Callable[[Moment], None]
    after: float = 0.0
    """Seconds from the wait's begin to the first report."""
    every: float = math.inf
    """Seconds from one report to the next."""
    changes: bool = False
    """Report in between as well when something else is seen."""


@dataclass(frozen=True)
class Wait:
    """A wait for `what`, for at most `seconds`. The condition is asked once at least, and at the deadline."""

    what: str
    seconds: float = math.inf
    interval: float = 0.1
    """Seconds between two questions."""
    longest: float = 0.0
    """The pauses double up to so many seconds; 0: they stay the same."""
    progress: Progress | None = None
    pending: tuple[type[Exception], ...] = ()
    """Errors that mean "not yet", beside `NotYetError`; any other ends the wait."""
    failure: Callable[[Moment], Exception] = WaitTimeoutError
    """Makes the error that says that the time is over."""
    clock: Clock = MONOTONIC

    def until(self, condition: Callable[[], T]) -> T:
        """Return the first true result of `condition`. Raises what `failure` makes when the time is over."""
        return self.attempt(lambda: _true(condition()))

    def attempt(self, call: Callable[[], T]) -> T:
        """Return what `call` returns, whatever it is, as soon as it raises no error that means "not yet"."""
        tries = _Tries(self)
        while True:
            try:
                return call()
            except self._not_yet as error:
                last_error = error
            self.clock.sleep(tries.pause(last_error))

    @property
    def _not_yet(self) -> tuple[type[Exception], ...]:
        return (NotYetError, *self.pending)

    def holds(self, condition: Callable[[], object]) -> bool:
        """Return whether `condition` holds in time, for those who go on in either case."""
        try:
            replace(self, failure=_OverError).until(condition)
        except _OverError:
            return False
        return True

    async def until_async(self, condition: Callable[[], Awaitable[T]]) -> T:
        """Do as `until`, with pauses for other coroutines."""

        async def call() -> T:
            return _true(await condition())

        return await self.attempt_async(call)

    async def attempt_async(self, call: Callable[[], Awaitable[T]]) -> T:
        """Do as `attempt`, with pauses for other coroutines."""
        tries = _Tries(self)
        while True:
            try:
                return await call()
            except self._not_yet as error:
                last_error = error
            await self.clock.pause(tries.pause(last_error))

    async def holds_async(self, condition: Callable[[], Awaitable[object]]) -> bool:
        """Do as `holds`, with pauses for other coroutines."""
        try:
            await replace(self, failure=_OverError).until_async(condition)
        except _OverError:
            return False
        return True


def _true(result: T) -> T:
    if not result:
        raise NotYetError
    return result


class _OverError(WaitTimeoutError):
    """The deadline of this wait passed, and of none within it."""


class _Tries:
    """The tries of one wait: how long it has taken, and what was reported last."""

    def __init__(self, wait: Wait) -> None:
        self._wait = wait
        self._began = wait.clock.now()
        self._next_pause = wait.interval
        self._report_at = self._began + (wait.progress.after if wait.progress else math.inf)
        self._reported: str | None = None

    def pause(self, error: Exception) -> float:
        """Report a try that missed; return the seconds until the next one, or raise when there is none."""
        wait, now = self._wait, self._wait.clock.now()
        moment = Moment(wait.what, str(error), now - self._began, wait.seconds)
        if moment.waited >= wait.seconds:
            raise wait.failure(moment) from error
        self._report(moment, now)
        pause = min(self._next_pause, wait.seconds - moment.waited)
        self._next_pause = max(self._next_pause, min(2 * self._next_pause, wait.longest))
        return pause

    def _report(self, moment: Moment, now: float) -> None:
        progress = self._wait.progress
        if progress is None:
            return
        changed = progress.changes and self._reported is not None and moment.seen != self._reported
        if now >= self._report_at or changed:
            self._reported = moment.seen
            self._report_at = now + progress.every
            progress.tell(moment)
