"""The gang's epoch: keys in etcd by which its ranks agree (`nodectl.verbs.gang` says what they are for)."""

import time

from nodectl.contract.manifest import Gang
from nodectl.etcd import client


class GangEpoch:
    """The gang's keys in etcd: its epoch, and the epoch in which each rank was started last."""

    def __init__(self, gang: Gang) -> None:
        self._etcd = client.connect(gang.etcd)
        self._folder = f"/dynamo-multinode/gangs/{gang.id}"

    def epoch(self) -> int:
        """Return the gang's epoch.

        Where etcd knows none, at first or after it lost its data, one begins that was not there before: what
        the engine registered is lost as well, and it has to start anew.
        """
        with client.unavailable():
            epoch = self._number("epoch")
            if epoch is None:
                self._etcd.create(f"{self._folder}/epoch", str(int(time.time())))
                epoch = self._number("epoch")
            return epoch or 0

    def raise_epoch(self, epoch: int) -> None:
        """Begin the epoch after `epoch`, unless another rank did."""
        with client.unavailable():
            self._etcd.replace(f"{self._folder}/epoch", str(epoch), str(epoch + 1))

    def started(self, rank: int) -> int | None:
        """Return the epoch in which `rank` was started last."""
        with client.unavailable():
            return self._number(f"started/{rank}")

    def start(self, rank: int, epoch: int) -> None:
        """Say that `rank` starts in `epoch`."""
        with client.unavailable():
            self._etcd.put(f"{self._folder}/started/{rank}", str(epoch))

    def _number(self, key: str) -> int | None:
        values = self._etcd.get(f"{self._folder}/{key}")
        return int(values[0]) if values else None
