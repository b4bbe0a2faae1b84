"""The service that a change broke: the others of its role stay as they were."""

import contextlib
import json
from dataclasses import asdict, dataclass

from nodectl.contract.manifest import Rollout, RolloutService
from nodectl.etcd import client
from nodectl.etcd.client import EtcdUnavailableError
from nodectl.rollout.locks import folder


@dataclass(frozen=True)
class Failure:
    """A service that did not get healthy with a revision of its role."""

    node: str
    service: str
    address: str
    revision: str


def remember(rollout: Rollout, role: str, failure: Failure) -> None:
    """Let the others of the role know; without etcd they find out themselves."""
    with contextlib.suppress(EtcdUnavailableError), client.unavailable():
        client.connect(rollout.etcd).put(_key(rollout, role), json.dumps(asdict(failure)))


def forget(rollout: Rollout, role: str) -> None:
    """Clear the role's failure, since the service serves by now."""
    with contextlib.suppress(EtcdUnavailableError), client.unavailable():
        client.connect(rollout.etcd).delete(_key(rollout, role))


def known(rollout: Rollout, service: RolloutService) -> Failure | None:
    """Return whose change to the same revision failed before."""
    with contextlib.suppress(EtcdUnavailableError, ValueError, TypeError), client.unavailable():
        for value in client.connect(rollout.etcd).get(_key(rollout, service.role)):
            failure = Failure(**json.loads(value))
            if failure.revision == service.revision:
                return failure
    return None


def _key(rollout: Rollout, role: str) -> str:
    return f"{folder(rollout, role)}/failed"
