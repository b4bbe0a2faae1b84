"""`nodectl gang`: runs one rank of an engine that spans nodes, so that all its ranks start and end together.

The ranks of a gang agree through an epoch in etcd, by one rule: **a rank starts at most once in an epoch**. A
runner whose rank was started in the current epoch already (it died, or was restarted) raises the epoch; a
runner that sees another epoch than its rank's ends the rank and itself. The supervisor starts ended runners
again, and so all ranks meet in the new epoch: rank 0 first, once its port is free, then the others. While
etcd is away, running ranks keep running.
"""

import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from typing import Final

from nodectl.common.errors import NodectlError
from nodectl.common.layout import Layout
from nodectl.common.waiting import Moment, NotYetError, Progress, Wait
from nodectl.contract.manifest import Gang
from nodectl.etcd.client import EtcdUnavailableError
from nodectl.etcd.gang_epoch import GangEpoch
from nodectl.runtime import container
from nodectl.supervisors import child, launch
from nodectl.supervisors.launch import Launch
from nodectl.verbs import options

_INTERVAL: Final = 0.5
"""Seconds between two looks at etcd."""

_BREAK_UP_SECONDS: Final = 10.0
"""Seconds that a rank may take to end when its gang starts anew: enough to deregister, not to drain."""


def main(argv: Sequence[str]) -> int:
    """Run a service's rank until it ends, its gang starts anew, or SIGTERM says to stop."""
    layout, service = options.service("gang", main.__doc__, argv)
    signal.signal(signal.SIGTERM, child.stop)
    service_launch = launch.read(layout, service)
    gang = service_launch.gang
    if gang is None:
        raise NodectlError(f"{service} is no rank of an engine that spans nodes")
    gang_epoch = GangEpoch(gang)
    epoch = _join(gang, gang_epoch)
    print(f"nodectl: {gang.id} starts rank {gang.rank} in epoch {epoch}", flush=True)
    _run(service_launch, layout, gang_epoch, epoch)
    return 0


def _join(gang: Gang, gang_epoch: GangEpoch) -> int:
    """Return the epoch in which the rank starts, once it may."""

    def tell(moment: Moment) -> None:
        print(f"nodectl: {gang.id}, rank {gang.rank} waits: {moment.seen}", flush=True)

    def joined() -> int:
        while (epoch := gang_epoch.epoch()) == gang_epoch.started(gang.rank):
            gang_epoch.raise_epoch(epoch)
        if obstacle := _obstacle(gang, gang_epoch, epoch):
            raise NotYetError(obstacle)
        gang_epoch.start(gang.rank, epoch)
        return epoch

    progress = Progress(tell, changes=True)
    wait = Wait("epoch", interval=_INTERVAL, progress=progress, pending=(EtcdUnavailableError,))
    return wait.attempt(joined)


def _obstacle(gang: Gang, gang_epoch: GangEpoch, epoch: int) -> str:
    """Return what keeps the rank from starting in `epoch`, nothing when it may."""
    if gang.rank != 0:
        # an earlier start could still meet the rank 0 that is about to end
        return "" if gang_epoch.started(0) == epoch else f"rank 0 has not started in epoch {epoch}"
    host, _, port = gang.master.rpartition(":")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, int(port)))
        except OSError as error:
            return f"{gang.master} is not free: {error}"
    return ""


def _run(service_launch: Launch, layout: Layout, gang_epoch: GangEpoch, epoch: int) -> None:
    """Run the rank; return when nothing of it is left. Whatever ends this process ends the rank."""
    rank = child.start(service_launch, layout)
    patience: float = service_launch.stop_seconds  # when the supervisor says to stop
    try:
        print(f"nodectl: {_why_ended(rank, gang_epoch, epoch)}", flush=True)
        patience = _BREAK_UP_SECONDS
    finally:
        child.end(rank, patience)
        container.remove([service_launch.container])


def _why_ended(rank: "subprocess.Popen[bytes]", gang_epoch: GangEpoch, epoch: int) -> str:
    """Return why the rank must go, as soon as it must."""
    is_away = False
    while rank.poll() is None:
        try:
            current = gang_epoch.epoch()
        except EtcdUnavailableError as error:
            if not is_away:
                print(f"nodectl: the rank goes on: {error}", flush=True)
            is_away = True
        else:
            if current != epoch:
                return f"the gang starts anew in epoch {current}"
            is_away = False
        time.sleep(_INTERVAL)
    return f"the rank ended with {rank.returncode}"
