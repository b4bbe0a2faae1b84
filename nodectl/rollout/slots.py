"""Who of a role may be down for a change: keys in etcd that live as long as the nodectl that holds them."""

import contextlib
import json
import math
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final

from etcd3gw.lease import Lease

from nodectl import etcd
from nodectl.converge import say
from nodectl.errors import TimedOutError
from nodectl.etcd import AwayError
from nodectl.manifest import Rollout

_LEASE_SECONDS: Final = 20
"""How long a slot outlives a killed holder. Far more than the pauses of a busy machine."""

_REFRESH_SECONDS: Final = 4.0

AWAY_SECONDS: Final = 60.0
"""How long an etcd that does not answer is waited for: a restart of it takes seconds."""

_POLL: Final = 0.3
_TELL_EVERY: Final = 15.0


@dataclass(frozen=True)
class Holder:
    """Whose slot it is: the value of its key."""

    node: str
    service: str
    pid: int

    def __str__(self) -> str:
        return f"{self.service} on {self.node} (process {self.pid})"


def folder(rollout: Rollout, role: str) -> str:
    """Return where in etcd a role's part of a rollout is kept."""
    return f"/dynamo-multinode/{rollout.stack}/rollout/{role}"


def holders(rollout: Rollout, role: str) -> list[Holder]:
    """Return who holds the role's slots; nobody, as far as one can tell, while etcd is away."""
    store = etcd.client(rollout.etcd)
    with contextlib.suppress(AwayError), etcd.away():
        return [Holder(**json.loads(value)) for key in _keys(rollout, role) for value in store.get(key)]
    return []


@contextmanager
def held(rollout: Rollout, role: str, node: str, service: str, patience: float) -> Iterator[None]:
    """Hold a slot of the role; it is free again at the end, or seconds after this process is killed.

    Where etcd stays away for `AWAY_SECONDS` there is no slot to hold, and the change goes on without.
    Raises `TimedOutError` when one holder keeps its slot for more than `patience` seconds.
    """
    lease = _take(rollout, role, Holder(node, service, os.getpid()), patience)
    if lease is None:
        yield
        return
    over = threading.Event()
    keeper = threading.Thread(target=_keep, args=(lease, over), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        over.set()
        keeper.join()
        with contextlib.suppress(AwayError), etcd.away():
            lease.revoke()


def _keys(rollout: Rollout, role: str) -> list[str]:
    return [f"{folder(rollout, role)}/{slot}" for slot in range(rollout.max_unavailable)]


def _take(rollout: Rollout, role: str, me: Holder, patience: float) -> Lease | None:
    store = etcd.client(rollout.etcd)
    keys = _keys(rollout, role)
    wait = _Wait(me, patience)
    while True:
        try:
            with etcd.away():
                lease = store.lease(_LEASE_SECONDS)
                if any(store.create(key, json.dumps(asdict(me)), lease) for key in keys):
                    return lease
                lease.revoke()
                found = [value for key in keys for value in store.get(key)]
            wait.on([Holder(**json.loads(value)) for value in found])
        except AwayError as error:
            if not wait.on_etcd(error):
                say(f"{me.service}: {error}; it changes without its role's lock")
                return None
        time.sleep(_POLL)


class _Wait:
    """For whom one waits, how long already, and when that was said last."""

    def __init__(self, me: Holder, patience: float) -> None:
        self._me = me
        self._patience = patience
        self._holders: list[Holder] = []
        self._since = self._heard = time.monotonic()
        self._told = -math.inf

    def on(self, holders: list[Holder]) -> None:
        """Go on waiting for the holders to end; each may take its time."""
        now = self._heard = time.monotonic()
        if holders != self._holders:
            self._holders, self._since, self._told = holders, now, -math.inf
        waited, names = now - self._since, " and ".join(map(str, holders))
        if holders and waited > self._patience:
            raise TimedOutError(
                f"{self._me.service}: {names} has changed for {waited:.0f} s and should have ended long ago"
            )
        if holders and now - self._told > _TELL_EVERY:
            self._told = now
            say(f"{self._me.service} waits for {names} to change ({waited:.0f} s of {self._patience:.0f})")

    def on_etcd(self, error: AwayError) -> bool:
        """Return whether etcd may still come back in time."""
        now = time.monotonic()
        away = now - self._heard
        if now - self._told > _TELL_EVERY:
            self._told = now
            say(f"{self._me.service} waits for its lock ({away:.0f} s of {AWAY_SECONDS:.0f}): {error}")
        return away < AWAY_SECONDS


def _keep(lease: Lease, over: threading.Event) -> None:
    """Keep a lease alive; an etcd that is away for less than the lease lasts costs nothing."""
    while not over.wait(_REFRESH_SECONDS):
        with contextlib.suppress(AwayError), etcd.away():
            lease.refresh()
