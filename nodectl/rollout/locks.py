"""Rollout locks: limit how many services of a role restart at once.

A slot is a key in etcd that lives as long as the nodectl that holds it.
"""

import contextlib
import json
import math
import os
import shlex
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import partial
from typing import Final

from etcd3gw.lease import Lease

from nodectl.common.errors import NodectlError, TimedOutError
from nodectl.common.steps import say
from nodectl.common.waiting import Moment, NotYetError, Progress, Wait
from nodectl.contract.manifest import Rollout
from nodectl.etcd import client
from nodectl.etcd.client import AWAY_SECONDS, EtcdUnavailableError

_LEASE_SECONDS: Final = 20
"""Seconds that a slot outlives a killed holder. Far more than the pauses of a busy machine."""

_REFRESH_SECONDS: Final = 4.0

_TELL_EVERY: Final = 15.0


@dataclass(frozen=True)
class Holder:
    """The holder of a slot: the value of its key."""

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
    store = client.connect(rollout.etcd)
    with contextlib.suppress(EtcdUnavailableError), client.unavailable():
        return [Holder(**json.loads(value)) for key in _keys(rollout, role) for value in store.get(key)]
    return []


@contextmanager
def held(rollout: Rollout, role: str, node: str, service: str, patience: float) -> Iterator[None]:
    """Hold a slot of the role; it is free again at the end, or seconds after this process is killed.

    Raises `TimedOutError` when one holder keeps its slot for more than `patience` seconds, and `NodectlError`
    where etcd refuses to write or stays away for `AWAY_SECONDS`: nothing stops that could not come back.
    """
    lease = _take(rollout, role, Holder(node, service, os.getpid()), patience)
    stop = threading.Event()
    keeper = threading.Thread(target=_keep, args=(lease, stop), daemon=True)
    keeper.start()
    try:
        yield
    finally:
        stop.set()
        keeper.join()
        with contextlib.suppress(EtcdUnavailableError), client.unavailable():
            lease.revoke()


def _keys(rollout: Rollout, role: str) -> list[str]:
    return [f"{folder(rollout, role)}/{slot}" for slot in range(rollout.max_unavailable)]


def _take(rollout: Rollout, role: str, candidate: Holder, patience: float) -> Lease:
    """Take a slot as soon as there is one; each of those who hold them may take `patience` seconds."""
    result = _try(rollout, role, candidate)
    while not isinstance(result, Lease):
        result = _wait_for(result, candidate, patience).attempt(
            partial(_try_again, rollout, role, candidate, result)
        )
    return result


def _try_again(
    rollout: Rollout, role: str, candidate: Holder, previous: list[Holder]
) -> Lease | list[Holder]:
    """Do as `_try`; raise `NotYetError` while the holders are those of before."""
    result = _try(rollout, role, candidate)
    if result == previous:
        raise NotYetError
    return result


def _try(rollout: Rollout, role: str, candidate: Holder) -> Lease | list[Holder]:
    """Return the lease of a slot that was free, or who holds them all, as soon as etcd answers."""
    store = client.connect(rollout.etcd)
    keys = _keys(rollout, role)

    def ask() -> Lease | list[Holder]:
        with client.unavailable():
            lease = store.lease(_LEASE_SECONDS)
            if any(store.create(key, json.dumps(asdict(candidate)), lease) for key in keys):
                return lease
            lease.revoke()
            return [Holder(**json.loads(value)) for key in keys for value in store.get(key)]

    def ask_unless_alarmed() -> Lease | list[Holder]:
        try:
            return ask()
        except EtcdUnavailableError:
            if alarms := client.alarms(store):
                raise NodectlError(
                    kept(rollout, candidate.node, candidate.service, client.alarmed(alarms))
                ) from None
            raise

    def tell(moment: Moment) -> None:
        duration = f"{moment.waited:.0f} s of {moment.seconds:.0f}"
        say(f"{candidate.service} waits for its lock ({duration}): {moment.seen}")

    try:
        wait = client.away(rollout.etcd, AWAY_SECONDS, Progress(tell, every=_TELL_EVERY))
        return wait.attempt(ask_unless_alarmed)
    except EtcdUnavailableError as error:
        raise NodectlError(kept(rollout, candidate.node, candidate.service, str(error))) from None


def _wait_for(holders: list[Holder], candidate: Holder, patience: float) -> Wait:
    """Return the wait for holders to end their changes; for nobody, where a slot was just given up."""
    names = " and ".join(map(str, holders))

    def tell(moment: Moment) -> None:
        if holders:
            say(f"{candidate.service} waits for {names} to change ({moment.waited:.0f} s of {patience:.0f})")

    def failure(moment: Moment) -> TimedOutError:
        return TimedOutError(
            f"{candidate.service}: {names} has changed for {moment.waited:.0f} s and should have ended "
            "long ago"
        )

    progress = Progress(tell, every=_TELL_EVERY)
    seconds = patience if holders else math.inf
    return Wait(names, seconds, interval=0.3, progress=progress, failure=failure)


def kept(rollout: Rollout, node: str, service: str, reason: str) -> str:
    """Return why a service is left as it is, and what mends that."""
    command = shlex.join(["scripts/node", rollout.stack, node, "compact"])
    return (
        f"{service} stays as it is: {reason}, and what stops now could not register again at {rollout.etcd}."
        f" `{command}` clears a space alarm; otherwise see the log of etcd on the head. Then run it again"
    )


def _keep(lease: Lease, stop: threading.Event) -> None:
    """Keep a lease alive; an etcd that is away for less than the lease lasts costs nothing."""
    while not stop.wait(_REFRESH_SECONDS):
        with contextlib.suppress(EtcdUnavailableError), client.unavailable():
            lease.refresh()
