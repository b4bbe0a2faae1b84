"""Takes dead workers out of Dynamo's registry: until their lease ends they draw requests that fail."""

import base64
import http.client
import json
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

COMPONENTS: Final = ("backend", "prefill")
"""Names of components under which workers register in Dynamo 1.6."""

STORE: Final = "ETCD_ENDPOINTS"
"""Environment name by which Dynamo finds the etcd that it registers in, as `host:port`."""

TROUBLES: Final = (OSError, http.client.HTTPException, ValueError, KeyError)
"""Errors of calls to an etcd that does not answer, or not as it should."""

_INSTANCES: Final = "v1/instances/"
_AFTER_INSTANCES: Final = "v1/instances0"  # the first key that does not begin so: 0 follows /
_SECONDS: Final = 5.0


def revoke_predecessors(env: Mapping[str, str]) -> int:
    """Revoke the leases of all workers registered at the address that a worker with `env` is going to use.

    It has not started, so whoever is registered there is dead. Returns how many there were; none for a
    service that does not register. Raises OSError, HTTPException or ValueError
    where etcd does not answer as it should.
    """
    store, host, port = (env.get(name) for name in (STORE, "DYN_TCP_RPC_HOST", "DYN_TCP_RPC_PORT"))
    if not (store and host and port):
        return 0
    leases = {
        endpoint.lease
        for endpoint in registered(store)
        if endpoint.address == f"{host}:{port}" and endpoint.lease
    }
    for lease in leases:
        _ask(store, "lease/revoke", ID=lease)
    return len(leases)


class Registered(NamedTuple):
    """An endpoint in the registry. `address` is the request plane's, `lease` etcd's number of it."""

    key: str
    address: str
    component: str
    lease: str | None


def registered(store: str) -> list[Registered]:
    """Return all that is in the registry of the etcd at `store`; raises as `revoke_predecessors` does."""
    response = _ask(store, "kv/range", key=_encoded(_INSTANCES), range_end=_encoded(_AFTER_INSTANCES))
    return [_entry(entry) for entry in response.get("kvs", [])]


def withdraw(store: str, key: str) -> None:
    """Take an endpoint out of the registry: it gets no more requests, and ends those that it has.

    Its lease is left alone: a worker that loses it exits.
    """
    _ask(store, "kv/deleterange", key=_encoded(key))


def put(store: str, key: str, value: str) -> None:
    """Write a key of the etcd at `store`; raises as `revoke_predecessors` does."""
    _ask(store, "kv/put", key=_encoded(key), value=_encoded(value))


def get(store: str, key: str) -> str | None:
    """Return what a key of the etcd at `store` says, None where there is none; raises likewise."""
    entries = _ask(store, "kv/range", key=_encoded(key)).get("kvs", [])
    return base64.b64decode(entries[0]["value"]).decode() if entries else None


def put_first(store: str, key: str, value: str) -> str:
    """Write a key of the etcd at `store` unless it is there; return what it says. Raises likewise."""
    name = _encoded(key)
    read_request = {"requestRange": {"key": name}}
    response = _ask(
        store,
        "kv/txn",
        compare=[{"key": name, "target": "CREATE", "createRevision": "0"}],
        success=[{"requestPut": {"key": name, "value": _encoded(value)}}, read_request],
        failure=[read_request],
    )
    entries = response["responses"][-1]["response_range"]["kvs"]
    return base64.b64decode(entries[0]["value"]).decode()


def _entry(entry: Mapping[str, str]) -> Registered:
    body = json.loads(base64.b64decode(entry["value"]))
    address = str(body.get("transport", {}).get("tcp", "")).partition("/")[0]
    key = base64.b64decode(entry["key"]).decode()
    return Registered(key, address, str(body.get("component")), entry.get("lease"))


def _ask(store: str, call: str, **body: Any) -> dict[str, Any]:
    """Return what etcd answers; an answer that it cannot give is no empty one."""
    connection = http.client.HTTPConnection(store, timeout=_SECONDS)
    try:
        connection.request("POST", f"/v3/{call}", json.dumps(body))
        reply = connection.getresponse()
        answer: dict[str, Any] = json.load(reply)
        if reply.status != http.client.OK:
            raise http.client.HTTPException(f"etcd answers {call} with {reply.status}: {answer.get('error')}")
    finally:
        connection.close()
    return answer


def _encoded(key: str) -> str:
    return base64.b64encode(key.encode()).decode()
