"""Tells an etcd that lost its data, or another in its place, from one that was away.

What was registered is lost with the data. Dynamo registers when it starts, and tries to renew a lease that
etcd does not know until its time is over: two minutes in which nothing is served. etcd's own ids do not tell,
since they are made from its name and address. So data are marked, by the first service that finds no mark.
"""

import contextlib
import random
import secrets
import signal
import threading
import time
from typing import Final

from nodectl.etcd import registration

_KEY: Final = "/dynamo-multinode/origin"

_LOOK_SECONDS: Final = (2.0, 4.0)
"""Seconds between looks, at random: services that started together do not ask, or restart, in step."""


class DataMark:
    """The mark of the data in the etcd at `store` (`host:port`) that a service is about to register in."""

    def __init__(self, store: str) -> None:
        self._store = store
        self._mark: str | None = None
        with contextlib.suppress(*registration.TROUBLES):
            self._mark = self._marked()

    def lost(self) -> bool:
        """Return whether etcd has other data by now. While it does not answer, nothing is lost."""
        try:
            if self._mark is None:  # etcd did not answer before
                self._mark = self._marked()
            return registration.get(self._store, _KEY) != self._mark
        except registration.TROUBLES:  # none of them says anything about the data
            return False

    def _marked(self) -> str:
        """Return the mark of the data, which get one where they have none."""
        mark = registration.get(self._store, _KEY)
        return mark or registration.put_first(self._store, _KEY, secrets.token_hex(8))


def end_when_lost(mark: DataMark) -> None:
    """Tell this process to stop, as its supervisor does, once the data of `mark` are lost.

    Call it from any thread. The supervisor starts it again, since it did not ask for the stop.
    """
    threading.Thread(target=_await_loss, args=(mark,), daemon=True).start()


def _await_loss(mark: DataMark) -> None:
    while not mark.lost():
        time.sleep(random.uniform(*_LOOK_SECONDS))  # noqa: S311 - no secret
    print("nodectl: etcd has lost what was registered; the service starts anew to register again", flush=True)
    signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
