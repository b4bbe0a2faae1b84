"""Workers that left the plan get no more requests, before their nodes are taken away.

Pulumi removes what left the plan after everything else, and so after the proof. By then a worker that is out
of the registry has ended the requests that it had: nothing is lost when it is stopped.
"""

import time
from collections.abc import Collection

from nodectl.common.steps import say
from nodectl.contract.proof import ProofSpec
from nodectl.etcd import client, registration
from nodectl.etcd.client import EtcdUnavailableError
from nodectl.etcd.registration import Registered


def retire(spec: ProofSpec) -> list[str]:
    """Withdraw the workers that the proof does not want, once all that it wants serve.

    Returns the addresses that were withdrawn: none while the wanted workers do not serve.

    Whoever still serves is needed then, and the proof, which comes next, says what is missing.
    """
    deadline = time.monotonic() + spec.seconds
    workers = leaving(
        _registered(spec.etcd, deadline), [instance.request_plane for instance in spec.instances]
    )
    if not workers:
        return []
    from nodectl.rollout.members import all_serve  # noqa: PLC0415 - it builds on the proof, which this begins

    if not all_serve(spec, deadline):
        return []
    for worker in workers:
        registration.withdraw(spec.etcd, worker.key)
    addresses = sorted({worker.address for worker in workers})
    say(f"no more requests for {', '.join(addresses)}")
    return addresses


def leaving(registered: Collection[Registered], members: Collection[str]) -> list[Registered]:
    """Return what workers elsewhere than at the members' addresses have registered."""
    return [
        endpoint
        for endpoint in registered
        if endpoint.component in registration.COMPONENTS and endpoint.address not in members
    ]


def _registered(store: str, deadline: float) -> list[Registered]:
    """Return what is registered, as soon as etcd answers: on a new deployment it is still starting."""

    def ask() -> list[Registered]:
        try:
            return registration.registered(store)
        except registration.TROUBLES as error:
            raise EtcdUnavailableError(f"etcd does not answer: {error}") from error

    try:
        return client.away(store, deadline - time.monotonic()).attempt(ask)
    except EtcdUnavailableError:
        return []
