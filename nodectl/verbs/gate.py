"""`nodectl gate`: runs a frontend behind a balancer, and answers the balancer's health checks for it.

A frontend that is told to stop refuses new connections at once, before any balancer can know. So the gate
tells the balancer first: it answers 404, which HAProxy (`http-check disable-on-404`) takes for "no new
requests", and passes SIGTERM on when that was heard. A stop by `apply`, by hand, or by the shutdown of the
host are all alike. There is no state to put back: the gate of the next start answers as the new frontend is.
"""

import json
import signal
import threading
import time
from collections.abc import Sequence
from enum import Enum
from http import HTTPStatus
from http.client import HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final
from urllib.request import ProxyHandler, build_opener

from nodectl.common.errors import NodectlError
from nodectl.contract.manifest import Gate
from nodectl.etcd import registration
from nodectl.etcd.data_mark import DataMark, end_when_lost
from nodectl.runtime import container
from nodectl.supervisors import child, launch
from nodectl.verbs import options

_HEARD_SECONDS: Final = 3.0
"""Seconds that a balancer may take to ask: it does every 0.5 s, and may itself be away."""

_ACTED_SECONDS: Final = 0.5
"""Seconds from the balancer's hearing of the end to its last request."""

_HEALTH_SECONDS: Final = 2.0
"""Seconds that the frontend may take for each of two answers; the balancer's own bound is 5 s."""

_FINDING_SECONDS: Final = 10.0
"""After so long a frontend is taken to know no worker because there is none."""


class Word(Enum):
    """Answer to the balancer's health check."""

    SEND = HTTPStatus.OK
    NOT_YET = HTTPStatus.SERVICE_UNAVAILABLE
    NO_MORE = HTTPStatus.NOT_FOUND


class Gatekeeper:
    """Knows what to answer, and what the balancer has heard."""

    def __init__(self, frontend: str) -> None:
        """`frontend` is its base URL."""
        self._frontend = frontend
        self._healthy_since: float | None = None
        self._knows_models = False
        self._opener = build_opener(ProxyHandler({}))  # a proxy of the environment leads away from the node
        self._draining = False
        self._heard: Word | None = None
        self._told = threading.Condition()

    def ask(self) -> Word:
        """Return what the balancer is to do."""
        if self._draining:
            return Word.NO_MORE
        is_serving = self._serves()
        if self._draining:  # by now
            return Word.NO_MORE
        return Word.SEND if is_serving else Word.NOT_YET

    def hear(self, word: Word) -> None:
        """Remember what the balancer was told."""
        with self._told:
            self._heard = word
            self._told.notify_all()

    def _serves(self) -> bool:
        """Return whether the frontend is healthy, and has found the workers, if there are any to find.

        It is healthy before it knows any model, and answers 404 then.
        """
        try:
            self._get("/health")
            now = time.monotonic()
            self._healthy_since = self._healthy_since or now
            if not self._knows_models:
                models = json.loads(self._get("/v1/models"))["data"]
                self._knows_models = bool(models) or now - self._healthy_since > _FINDING_SECONDS
        except (OSError, HTTPException, ValueError, KeyError):
            return False
        return self._knows_models

    def _get(self, path: str) -> bytes:
        with self._opener.open(self._frontend + path, timeout=_HEALTH_SECONDS) as reply:
            body: bytes = reply.read()
        return body

    @property
    def open(self) -> bool:
        """Return whether the balancer knows the frontend as healthy."""
        return self._heard is Word.SEND and not self._draining

    def close(self, seconds: float) -> bool:
        """Ask for no more requests, and wait for the balancer to hear it; return whether it did."""
        self._draining = True
        with self._told:
            return self._told.wait_for(lambda: self._heard is Word.NO_MORE, seconds)


def main(argv: Sequence[str]) -> int:
    """Run a frontend as `run-registered` does; it gets no request that it would refuse."""
    layout, service = options.service("gate", main.__doc__, argv)
    signal.signal(signal.SIGTERM, child.stop)
    service_launch = launch.read(layout, service)
    gate = service_launch.gate
    if gate is None:
        raise NodectlError(f"{service} is behind no balancer")
    keeper = Gatekeeper(gate.frontend)
    server = _server(gate, keeper)
    mark = DataMark(service_launch.env[registration.STORE])
    frontend = child.start(service_launch, layout)
    try:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        end_when_lost(mark)
        print(f"nodectl: the frontend ended with {frontend.wait()}", flush=True)
    finally:
        if frontend.poll() is None:
            _drain(keeper)
        child.end(frontend, service_launch.stop_seconds)
        container.remove([service_launch.container])
    return 0


def _drain(keeper: Gatekeeper) -> None:
    if keeper.close(_HEARD_SECONDS):
        time.sleep(_ACTED_SECONDS)
        print("nodectl: the balancer sends no more requests; the frontend ends", flush=True)
    else:
        print("nodectl: no balancer asks; the frontend ends", flush=True)


def _server(gate: Gate, keeper: Gatekeeper) -> ThreadingHTTPServer:
    """Return what answers `/health`, for the balancer alone, and `/ready`, for everybody else."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 5  # seconds; a peer that says nothing holds no thread

        def do_GET(self) -> None:
            if self.path == "/health":
                word = keeper.ask()
                self._answer(word.value)
                keeper.hear(word)
            elif self.path == "/ready":
                self._answer(HTTPStatus.OK if keeper.open else HTTPStatus.SERVICE_UNAVAILABLE)
            else:
                self._answer(HTTPStatus.BAD_REQUEST)

        def log_message(self, *_: Any) -> None:
            """Two checks a second are no news."""

        def _answer(self, status: HTTPStatus) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

    host, _, port = gate.listen.rpartition(":")
    return ThreadingHTTPServer((host, int(port)), Handler)
