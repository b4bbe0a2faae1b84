"""Takes dead workers out of Dynamo's registry: listed until their lease ends, they draw requests that fail.

Standard library only: it runs before every start of a worker.
"""

import base64
import http.client
import json
from collections.abc import Mapping
from typing import Any, Final

_INSTANCES: Final = "v1/instances/"
_AFTER_INSTANCES: Final = "v1/instances0"  # the first key that does not begin so: 0 follows /
_SECONDS: Final = 5.0


def revoke_predecessors(env: Mapping[str, str]) -> int:
    """Revoke the leases of all workers registered at the address that a worker with `env` is going to use.

    It has not started, so whoever is registered there is dead. Returns how many there were; none for a
    service that does not register. Raises OSError, HTTPException or ValueError
    where etcd does not answer as it should.
    """
    store, host, port = (env.get(name) for name in ("ETCD_ENDPOINTS", "DYN_TCP_RPC_HOST", "DYN_TCP_RPC_PORT"))
    if not (store and host and port):
        return 0
    found = _ask(store, "kv/range", key=_encoded(_INSTANCES), range_end=_encoded(_AFTER_INSTANCES))
    entries = [entry for entry in found.get("kvs", []) if _is_at(f"{host}:{port}/", entry["value"])]
    leases = {entry["lease"] for entry in entries if "lease" in entry}
    for lease in leases:
        _ask(store, "lease/revoke", ID=lease)
    return len(leases)


def _is_at(place: str, value: str) -> bool:
    transport = json.loads(base64.b64decode(value)).get("transport", {})
    return any(str(address).startswith(place) for address in transport.values())


def _ask(store: str, call: str, **body: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(store, timeout=_SECONDS)
    try:
        connection.request("POST", f"/v3/{call}", json.dumps(body))
        answer: dict[str, Any] = json.load(connection.getresponse())
    finally:
        connection.close()
    return answer


def _encoded(key: str) -> str:
    return base64.b64encode(key.encode()).decode()
