"""Asks NATS and etcd for what Dynamo needs of them."""

import secrets
from typing import Final

from nodectl.dynamo.calls import HopelessError, RefusedError
from nodectl.dynamo.nats import nats
from nodectl.etcd import client as etcd

_SECONDS: Final = 5.0
_KEPT_SECONDS: Final = 60
"""Seconds that etcd keeps the key of a proof that was killed between writing and deleting it."""


async def ask_jetstream(url: str) -> None:
    """Get an answer from JetStream. Raises RefusedError without it, and `nats.errors.Error`."""
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
    client = etcd.connect(address, _SECONDS)
    if alarms := etcd.alarms(client):
        raise HopelessError(etcd.alarmed(alarms) + "; `compact` on any node clears a space alarm")
    lease = client.lease(ttl=_KEPT_SECONDS)
    key, value = f"/dynamo-multinode/proof/{lease.id}", secrets.token_hex(8)
    client.put(key, value, lease=lease)
    values = client.get(key)
    lease.revoke()
    if values != [value.encode()]:
        raise RefusedError("does not return what was written")


async def _silent(_: Exception) -> None:
    """Leave errors to the caller: nats-py would print them as well."""
