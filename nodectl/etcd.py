"""How nodectl reaches a deployment's etcd: calls are bounded, and fail with one error."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import requests
from etcd3gw import Etcd3Client
from etcd3gw.exceptions import Etcd3Exception

_CALL_SECONDS: Final = 2.0


class AwayError(Exception):
    """etcd does not answer."""


def client(address: str) -> Etcd3Client:
    """Return a client of the etcd at `host:port`; nothing is sent before its first call."""
    host, _, port = address.rpartition(":")
    session = requests.Session()
    session.trust_env = False  # a proxy of the environment leads away from the nodes
    return Etcd3Client(host, int(port), timeout=_CALL_SECONDS, session=session)


@contextmanager
def away() -> Iterator[None]:
    """Turn whatever goes wrong with calls to etcd into an `AwayError`."""
    try:
        yield
    except (Etcd3Exception, requests.RequestException) as error:
        raise AwayError(f"etcd does not answer: {error}") from error
