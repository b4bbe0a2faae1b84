"""Asks NATS and etcd for what Dynamo needs of them."""

import secrets
from typing import Final

import etcd3gw
import requests

from nodectl.proof.asking import RefusedError
from nodectl.proof.natsclient import nats

_SECONDS: Final = 5.0
_KEPT_SECONDS: Final = 60
"""How long etcd keeps the key of a proof that was killed between writing and deleting it."""


async def ask_jetstream(url: str) -> None:
    """Have JetStream answer. Raises RefusedError without it, and `nats.errors.Error`."""
    client = await nats.connect(
        url, allow_reconnect=False, max_reconnect_attempts=1, reconnect_time_wait=0, error_cb=_silent
    )
    try:
        await client.jetstream().account_info()
    except nats.js.errors.ServiceUnavailableError:
        raise RefusedError("answers without JetStream; start it with --jetstream") from None
    finally:
        await client.close()


def write_and_read(address: str) -> None:
    """Put a key into etcd at `host:port`, read it back, delete it. Raises RefusedError, `Etcd3Exception`."""
    host, port = address.rsplit(":", 1)
    session = requests.Session()
    session.trust_env = False  # a proxy of the environment leads away from the nodes
    client = etcd3gw.client(host=host, port=int(port), timeout=_SECONDS, session=session)
    lease = client.lease(ttl=_KEPT_SECONDS)
    key, value = f"/dynamo-multinode/proof/{lease.id}", secrets.token_hex(8)
    client.put(key, value, lease=lease)
    found = client.get(key)
    lease.revoke()
    if found != [value.encode()]:
        raise RefusedError("does not return what was written")


async def _silent(_: Exception) -> None:
    """Leave errors to the caller: nats-py would print them as well."""
