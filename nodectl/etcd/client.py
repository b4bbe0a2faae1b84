"""Client of a deployment's etcd: calls are bounded, and fail with one error.

An etcd with an alarm (its file has reached the quota, or is corrupt) answers every read and refuses every
write, leases among them: what stops then cannot register again.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final

import requests
from etcd3gw import Etcd3Client
from etcd3gw.exceptions import Etcd3Exception

from nodectl.common.waiting import Progress, Wait

_CALL_SECONDS: Final = 2.0

AWAY_SECONDS: Final = 60.0
"""Limit on the wait for an etcd that does not answer: a restart of it takes seconds."""


class EtcdUnavailableError(Exception):
    """etcd does not answer, or does not do what it is asked."""


def connect(address: str, seconds: float = _CALL_SECONDS) -> Etcd3Client:
    """Return a client of the etcd at `host:port`, which connects with its first call.

    A call takes at most `seconds`.
    """
    host, _, port = address.rpartition(":")
    session = requests.Session()
    session.trust_env = False  # a proxy of the environment leads away from the nodes
    return Etcd3Client(host, int(port), timeout=seconds, session=session)


@contextmanager
def unavailable() -> Iterator[None]:
    """Turn whatever goes wrong with calls to etcd into an `EtcdUnavailableError`."""
    try:
        yield
    except (Etcd3Exception, requests.RequestException) as error:
        raise EtcdUnavailableError(f"etcd does not answer: {_said(error)}") from error


def away(address: str, seconds: float = AWAY_SECONDS, progress: Progress | None = None) -> Wait:
    """Return the wait for the etcd at `host:port`, which may stay away for `seconds`.

    What it attempts raises an `EtcdUnavailableError` while etcd is away; in the end the wait does.
    """
    return Wait(
        f"etcd at {address}",
        seconds,
        interval=0.3,
        progress=progress,
        pending=(EtcdUnavailableError,),
        failure=lambda moment: EtcdUnavailableError(f"{moment.seen} ({address}, for {moment.waited:.0f} s)"),
    )


def read(address: str) -> None:
    """Read from the etcd at `host:port`. Raises `EtcdUnavailableError` without an answer in two seconds."""
    with unavailable():
        connect(address).get("/")


def alarms(store: Etcd3Client) -> list[str]:
    """Return the alarms that are raised (`NOSPACE`, `CORRUPT`), none where etcd does not answer.

    https://etcd.io/docs/v3.5/op-guide/maintenance/#space-quota
    """
    try:
        answer = store.post(store.get_url("/maintenance/alarm"), json={"action": "GET"})
    except (Etcd3Exception, requests.RequestException):
        return []
    return sorted({alarm["alarm"] for alarm in answer.get("alarms", [])})


def alarmed(names: Sequence[str]) -> str:
    """Return what is wrong with an etcd that has these alarms, in a few words."""
    return f"etcd refuses to write: alarm {', '.join(names)}"


def code(error: Etcd3Exception) -> int | None:
    """Return gRPC's code of a call that etcd refused: https://grpc.io/docs/guides/status-codes/."""
    try:
        status = json.loads(error.detail_text or "").get("code")
    except (ValueError, AttributeError):
        return None
    return status if isinstance(status, int) else None


def _said(error: Exception) -> str:
    """Return what etcd says of a call that it refused: the status of the answer says less."""
    return getattr(error, "detail_text", None) or str(error)
