"""The service that a change broke: the others of its role stay as they were."""

import contextlib
import json
from dataclasses import asdict, dataclass

from nodectl import etcd
from nodectl.etcd import AwayError
from nodectl.manifest import Rollout, RolloutService
from nodectl.rollout.slots import folder


@dataclass(frozen=True)
class Failure:
    """A service that did not get healthy with a revision of its role."""

    node: str
    service: str
    address: str
    revision: str


def remember(rollout: Rollout, role: str, failure: Failure) -> None:
    """Let the others of the role know; without etcd they find out themselves."""
    with contextlib.suppress(AwayError), etcd.away():
        etcd.client(rollout.etcd).put(_key(rollout, role), json.dumps(asdict(failure)))


def forget(rollout: Rollout, role: str) -> None:
    """Clear the role's failure, since the service serves by now."""
    with contextlib.suppress(AwayError), etcd.away():
        etcd.client(rollout.etcd).delete(_key(rollout, role))


def known(rollout: Rollout, service: RolloutService) -> Failure | None:
    """Return whose change to the same revision failed before."""
    with contextlib.suppress(AwayError, ValueError, TypeError), etcd.away():
        for value in etcd.client(rollout.etcd).get(_key(rollout, service.role)):
            failure = Failure(**json.loads(value))
            if failure.revision == service.revision:
                return failure
    return None


def _key(rollout: Rollout, role: str) -> str:
    return f"{folder(rollout, role)}/failed"
