"""A steady load on a deployment, and what of it failed: whole completions and streams of several seconds.

A request counts as failed when it is answered with anything but 200, when an error event comes inside a 200
stream, when the stream ends early, when fewer tokens come than were asked for, or when it takes too long.
"""

import asyncio
import itertools
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple, Self

import httpx

PATIENCE: Final = 60.0
"""Seconds until a request counts as failed; also how long the last ones may take once the load ends."""


class Failure(NamedTuple):
    """A bad request: when it began and when it ended, in seconds since the load began, and what was wrong."""

    begun: float
    ended: float
    what: str


@dataclass
class Report:
    """Results of the requests of one load."""

    seconds: float = 0.0
    answered: list[float] = field(default_factory=list)
    """Seconds of each good request."""
    streams: int = 0
    """Number of streamed good requests."""
    stream_seconds: float = 0.0
    """Seconds of all streamed requests together."""
    failures: list[Failure] = field(default_factory=list)

    @property
    def requests(self) -> int:
        return len(self.answered) + len(self.failures)

    @property
    def failed(self) -> int:
        return len(self.failures)

    @property
    def slowest(self) -> float:
        """Return how long the longest good request took, in seconds."""
        return max(self.answered, default=0.0)

    @property
    def kinds(self) -> str:
        """Return the failures by kind, such as `3 x ConnectError`."""
        counts = Counter(failure.what for failure in self.failures)
        return "; ".join(f"{count} x {what}" for what, count in counts.items())

    def recovery(self, since: float) -> float:
        """Return the seconds from `since`, counted like a failure's, to the end of the last bad request."""
        return max((failure.ended - since for failure in self.failures), default=0.0)

    def row(self, name: str) -> str:
        """Return one line of a table, and the failures by kind."""
        mean = self.stream_seconds / self.streams if self.streams else 0.0
        counts = f"{self.failed} of {self.requests} failed"
        times = f"streams {mean:.1f} s on average, slowest request {self.slowest:.1f} s"
        kinds = f"; {self.kinds}" if self.failures else ""
        return f"{name:<44}  {counts:<20}  in {self.seconds:4.1f} s  {times}{kinds}"


class Load:
    """Sends `per_second` requests a second, every other one a stream, while its context lasts."""

    def __init__(
        self,
        url: str,
        model: str,
        *,
        per_second: float = 10.0,
        tokens: int = 8,
        stream_tokens: int = 100,
    ) -> None:
        """`tokens` are asked of a whole completion, `stream_tokens` of a streamed one."""
        self._url = f"{url}/v1/chat/completions"
        self._model = model
        self._pause = 1 / per_second
        self._tokens = {False: tokens, True: stream_tokens}
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))
        self.report = Report()

    def __enter__(self) -> Self:
        self._begun = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        self.report.seconds = time.monotonic() - self._begun

    @property
    def now(self) -> float:
        """Return how long the load has lasted, in seconds."""
        return time.monotonic() - self._begun

    @property
    def streaming(self) -> bool:
        """Return whether a stream was answered in full: requests were in flight for as long as one takes."""
        return self.report.streams > 0

    async def _run(self) -> None:
        limits = httpx.Limits(max_connections=None)
        async with (
            httpx.AsyncClient(timeout=PATIENCE, limits=limits, trust_env=False) as http,
            asyncio.TaskGroup() as requests,
        ):
            for number in itertools.count():
                if self._over.is_set():
                    break
                requests.create_task(self._request(http, number))
                # counted from the begin, so that a late wake-up does not thin the load
                await asyncio.sleep(self._begun + (number + 1) * self._pause - time.monotonic())

    async def _request(self, http: httpx.AsyncClient, number: int) -> None:
        begun, streamed = time.monotonic(), number % 2 == 1
        try:
            async with asyncio.timeout(PATIENCE):
                wrong = await (self._streamed if streamed else self._whole)(
                    http, self._body(number, streamed)
                )
        except TimeoutError:
            wrong = "time-out"
        except (httpx.HTTPError, ValueError, KeyError) as error:
            wrong = type(error).__name__
        ended = time.monotonic()
        took = ended - begun
        if wrong:
            self.report.failures.append(Failure(begun - self._begun, ended - self._begun, wrong))
            return
        self.report.answered.append(took)
        if streamed:
            self.report.streams += 1
            self.report.stream_seconds += took

    def _body(self, number: int, streamed: bool) -> dict[str, Any]:
        messages = [{"role": "user", "content": f"{number} is a number, and what is so special about it?"}]
        body = {"model": self._model, "messages": messages, "max_tokens": self._tokens[streamed]}
        # a model of random weights would end whenever it likes
        body |= {"ignore_eos": True}
        return body | ({"stream": True, "stream_options": {"include_usage": True}} if streamed else {})

    async def _whole(self, http: httpx.AsyncClient, body: dict[str, Any]) -> str:
        reply = await http.post(self._url, json=body)
        return _refused(reply) or _short(reply.json()["usage"], body)

    async def _streamed(self, http: httpx.AsyncClient, body: dict[str, Any]) -> str:
        usage: dict[str, Any] = {}
        async with http.stream("POST", self._url, json=body) as reply:
            if reply.is_error:
                await reply.aread()
                return _refused(reply)
            async for line in reply.aiter_lines():
                if line.startswith("event: error"):
                    return "error event in a 200 stream"
                if line == "data: [DONE]":
                    return _short(usage, body)
                if line.startswith("data: "):
                    usage = json.loads(line.removeprefix("data: ")).get("usage") or usage
        return "stream ended early"


def _refused(reply: httpx.Response) -> str:
    return f"{reply.status_code} {' '.join(reply.text.split())[:100]}" if reply.is_error else ""


def _short(usage: dict[str, Any], body: dict[str, Any]) -> str:
    came, asked = usage.get("completion_tokens", 0), body["max_tokens"]
    return f"{came} of {asked} tokens" if came < asked else ""


def wait_for(done: Callable[[], bool], *, seconds: float, what: str) -> None:
    """Return as soon as `done` holds."""
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"after {seconds:.0f} s still not: {what}"
        time.sleep(0.05)
