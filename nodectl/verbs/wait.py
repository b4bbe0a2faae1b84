"""`nodectl wait`: started for a service, it waits for what that needs and then becomes it, or its runner.

It imports little: it runs before every start of every service.
"""

import os
import socket
import sys
from collections.abc import Sequence
from pathlib import Path

from nodectl.common import isolated, limits
from nodectl.common.layout import MARKER
from nodectl.common.waiting import Moment, Progress, Wait
from nodectl.etcd import registration
from nodectl.runtime import container
from nodectl.supervisors import launch
from nodectl.supervisors.stale_sessions import end_leftovers
from nodectl.verbs import options


def main(argv: Sequence[str]) -> int:
    """Wait for the service's endpoints, then become it or its runner: the process stays the same."""
    layout, service = options.service("wait", main.__doc__, argv)
    service_launch = launch.read(layout, service)
    if (files := limits.raise_open_files()) < limits.FEW:
        print(f"nodectl: at most {files} open files: raise the hard limit (`ulimit -Hn`)", flush=True)
    if layout.starts.is_dir():  # systemd counts itself
        _count(layout.started(service))
    if os.environ.get(MARKER) == str(layout.root):  # not where a user tries it in a shell's session
        for pid in end_leftovers(os.getsid(0)):
            print(f"nodectl: ended process {pid}, left by a service that died", flush=True)
    for endpoint in service_launch.after:
        wait_for(endpoint)
    container.remove([service_launch.container])  # a client that was killed left it running
    _deregister(service_launch)
    launch.write_files(service_launch, layout, service)
    runners = {
        "gang": service_launch.gang,
        "gate": service_launch.gate,
        "run-registered": service_launch.env.get(registration.STORE),
    }
    for runner, setting in runners.items():
        if setting is not None:
            argv = isolated.module(sys.executable, "nodectl", runner, "--root", str(layout.root))
            os.execv(sys.executable, [*argv, "--service", service])  # noqa: S606 - no shell is the point
    env = launch.environment(service_launch, layout, os.environ)
    os.chdir(layout.data)
    command = launch.command(service_launch)
    os.execvpe(command[0], command, env)  # noqa: S606 - no shell is the point


def _deregister(service_launch: launch.Launch) -> None:
    """Take dead predecessors out of the registry; a start does not depend on it, their leases end anyway."""
    try:
        if count := registration.revoke_predecessors(service_launch.env):
            print(f"nodectl: took {count} dead predecessors out of the registry", flush=True)
    except registration.TROUBLES as error:
        print(f"nodectl: dead predecessors may stay registered until their lease ends: {error}", flush=True)


def wait_for(endpoint: str) -> None:
    """Return when `endpoint` (`host:port`) accepts a connection; until then say so now and then."""
    host, _, port = endpoint.rpartition(":")

    def tell(moment: Moment) -> None:
        print(f"nodectl: waiting for {endpoint} ({moment.waited:.0f} s): {moment.seen}", flush=True)

    progress = Progress(tell, every=10.0)
    accepts = Wait(endpoint, interval=0.05, longest=1.0, progress=progress, pending=(OSError,))
    accepts.attempt(lambda: socket.create_connection((host, int(port)), timeout=2).close())


def _count(starts: Path) -> None:
    previous = int(starts.read_text(encoding="ascii") or 0) if starts.exists() else 0
    starts.write_text(str(previous + 1), encoding="ascii")
