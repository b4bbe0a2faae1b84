"""`nodectl compact`: frees the space of etcd's history and clears the alarm that keeps it from writing.

https://etcd.io/docs/v3.5/op-guide/maintenance/ has the steps; `scripts/node STACK NODE compact` runs it.
"""

import json
from collections.abc import Sequence
from typing import Any, Final

from etcd3gw import Etcd3Client
from etcd3gw.exceptions import Etcd3Exception

from nodectl.common.errors import NodectlError
from nodectl.common.layout import Layout
from nodectl.contract import documents
from nodectl.contract.manifest import Manifest
from nodectl.etcd import client, registration
from nodectl.verbs import options

_OUT_OF_RANGE: Final = 11  # gRPC's

_SECONDS: Final = 120.0
"""Bound on a call: etcd serves nobody while it writes its file anew, some seconds for each GB."""


def main(argv: Sequence[str]) -> int:
    """Drop the history of the deployment's etcd, shrink its file, and clear its space alarm. Any node can."""
    layout = Layout.at(options.parser("compact", main.__doc__).parse_args(argv).root)
    address = _etcd_of(documents.applied(layout))
    store = client.connect(address, _SECONDS)
    try:
        with client.unavailable():
            size_before, size_after = _compact(store)
    except client.EtcdUnavailableError as error:
        raise NodectlError(f"{address}: {error}") from None
    if alarms := client.alarms(store):
        raise NodectlError(
            f"{address}: {client.alarmed(alarms)} still; its file has {size_after} bytes in use"
        )
    print(json.dumps({"etcd": address, "bytes": {"before": size_before, "after": size_after}}))
    return 0


def _etcd_of(manifest: Manifest) -> str:
    """Return the address of the deployment's etcd, as the services of any of its nodes know it."""
    store_addresses = {service.env.get(registration.STORE) for service in manifest.services.values()} - {None}
    stores = [s.flags.get("listen-client-urls") for s in manifest.services.values() if s.module == "etcd"]
    addresses = [*map(str, store_addresses), *(str(url).rpartition("//")[2] for url in stores if url)]
    if not addresses:
        raise NodectlError(f"{manifest.node}: no service here uses etcd; run it on another node")
    return addresses[0]


def _compact(store: Etcd3Client) -> tuple[int, int]:
    """Drop all revisions but the last, and return the size of etcd's file in bytes before and after."""
    status: Any = store.status()
    revision = {"revision": status["header"]["revision"], "physical": True}
    try:
        store.post(store.get_url("/kv/compaction"), json=revision)
    except Etcd3Exception as error:
        if client.code(error) != _OUT_OF_RANGE:  # nothing was written since the last compaction
            raise
    store.post(store.get_url("/maintenance/defragment"), json={})
    alarms = store.post(store.get_url("/maintenance/alarm"), json={"action": "GET"}).get("alarms", [])
    for alarm in (alarm for alarm in alarms if alarm["alarm"] == "NOSPACE"):
        store.post(store.get_url("/maintenance/alarm"), json={"action": "DEACTIVATE", **alarm})
    return int(status["dbSize"]), int(store.status()["dbSize"])
