"""Waits end with what was waited for, or at their deadline. The clock is the test's own."""

import asyncio
from collections.abc import Callable, Iterator
from functools import partial

import pytest

from nodectl.common.errors import TimedOutError
from nodectl.common.waiting import Moment, NotYetError, Progress, Wait, WaitTimeoutError


class FakeClock:
    """Time that passes only in pauses."""

    def __init__(self) -> None:
        self.time = 0.0
        self.pauses: list[float] = []

    def now(self) -> float:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.time += seconds

    async def pause(self, seconds: float) -> None:
        self.sleep(seconds)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def in_turn(*results: object) -> Callable[[], object]:
    """Return a condition with these results; an exception among them is raised, the last one repeats."""
    following: Iterator[object] = iter(results)
    last = results[-1]

    def condition() -> object:
        result = next(following, last)
        if isinstance(result, Exception):
            raise result
        return result

    return condition


def test_a_result_that_is_there_at_once_is_returned_without_a_pause(
    clock: FakeClock,
) -> None:
    assert Wait("a port", 5, clock=clock).until(lambda: 8000) == 8000
    assert clock.pauses == []


def test_a_wait_asks_again_after_each_interval(clock: FakeClock) -> None:
    wait = Wait("a port", 5, interval=2, clock=clock)
    assert wait.until(in_turn(0, NotYetError("closed"), 8000)) == 8000
    assert clock.pauses == [2, 2]


def test_the_last_try_is_at_the_deadline_and_the_error_says_what_was_seen_then(clock: FakeClock) -> None:
    with pytest.raises(TimedOutError, match=r"^a port: not within 5 s: closed$") as late:
        Wait("a port", 5, interval=2, clock=clock).until(in_turn(0, NotYetError("closed")))
    assert isinstance(late.value, WaitTimeoutError)
    assert late.value.moment == Moment("a port", "closed", waited=5, seconds=5)
    assert clock.pauses == [2, 2, 1]


def test_a_deadline_that_has_passed_still_leaves_one_try(clock: FakeClock) -> None:
    assert Wait("a port", -3, clock=clock).until(lambda: 8000) == 8000
    with pytest.raises(WaitTimeoutError):
        Wait("a port", -3, clock=clock).until(lambda: 0)
    assert clock.pauses == []


def test_only_errors_that_are_named_mean_not_yet(clock: FakeClock) -> None:
    wait = Wait("a port", 5, pending=(ConnectionError,), clock=clock)
    assert wait.until(in_turn(ConnectionResetError("reset"), 8000)) == 8000
    with pytest.raises(ValueError, match="no number"):
        wait.until(in_turn(ValueError("no number")))


def test_an_attempt_returns_whatever_comes_without_an_error(clock: FakeClock) -> None:
    wait = Wait("a list", 5, pending=(ConnectionError,), clock=clock)
    assert wait.attempt(in_turn(ConnectionResetError("reset"), [])) == []


def test_pauses_double_up_to_the_longest(clock: FakeClock) -> None:
    Wait("a port", interval=1, longest=5, clock=clock).until(in_turn(0, 0, 0, 0, 0, 8000))
    assert clock.pauses == [1, 2, 4, 5, 5]


def test_the_caller_names_the_error(clock: FakeClock) -> None:
    def failure(moment: Moment) -> Exception:
        return LookupError(f"no port after {moment.waited:.0f} s")

    with pytest.raises(LookupError, match=r"^no port after 3 s$"):
        Wait("a port", 3, failure=failure, clock=clock).until(in_turn(0))


def test_who_goes_on_in_either_case_learns_whether_it_holds(clock: FakeClock) -> None:
    assert Wait("a port", 3, clock=clock).holds(in_turn(0, 8000))
    assert not Wait("a port", 3, clock=clock).holds(in_turn(0))


def test_a_wait_within_a_condition_that_runs_out_of_time_is_no_answer(clock: FakeClock) -> None:
    inner = Wait("another port", 1, clock=clock)
    with pytest.raises(WaitTimeoutError, match=r"^another port"):
        Wait("a port", 3, clock=clock).holds(lambda: inner.until(lambda: 0))


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        (partial(Progress), ["0 one"]),
        (partial(Progress, every=3), ["0 one", "3 two"]),
        (partial(Progress, after=2, every=3), ["2 two", "5 two"]),
        (partial(Progress, changes=True), ["0 one", "2 two"]),
    ],
    ids=["once", "every-3-s", "after-2-s", "on-changes"],
)
def test_progress_is_told_when_the_caller_wants_it(
    clock: FakeClock, progress: partial[Progress], told: list[str]
) -> None:
    lines: list[str] = []

    def tell(moment: Moment) -> None:
        lines.append(f"{moment.waited:.0f} {moment.seen}")

    def seen() -> int:
        raise NotYetError("one" if clock.time < 2 else "two")

    assert not Wait("it", 6, interval=1, progress=progress(tell), clock=clock).holds(seen)
    assert lines == told


def test_a_moment_is_a_line_of_progress() -> None:
    assert str(Moment("etcd", "refused", 3.2, 60)) == "waiting for etcd: refused (3 s of 60)"
    assert str(Moment("etcd", "", 3.2, float("inf"))) == "waiting for etcd (3 s)"


def test_coroutines_wait_in_the_same_way(clock: FakeClock) -> None:
    condition = in_turn(0, NotYetError("closed"), 8000)

    async def ask() -> object:
        return condition()

    assert asyncio.run(Wait("a port", 5, interval=2, clock=clock).until_async(ask)) == 8000
    assert clock.pauses == [2, 2]
    with pytest.raises(WaitTimeoutError, match=r"not within 1 s$"):
        asyncio.run(Wait("a port", 1, clock=clock).until_async(lambda: asyncio.sleep(0, 0)))
