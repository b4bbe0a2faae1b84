"""`nodectl wait`: started for a service, it waits for what that needs and then becomes it, or its runner.

Standard library only, and quick: it runs before every start of every service.
"""

import os
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nodectl import container, launch, options, registration
from nodectl.layout import MARKER
from nodectl.leftovers import end_leftovers

_FIRST_PAUSE: Final = 0.05
_LONGEST_PAUSE: Final = 1.0
_TELL_EVERY: Final = 10.0


def main(argv: Sequence[str]) -> int:
    """Wait for the service's endpoints, then become it or its runner: the process stays the same."""
    layout, service = options.service("wait", main.__doc__, argv)
    started = launch.read(layout, service)
    if layout.starts.is_dir():  # systemd counts itself
        _count(layout.started(service))
    if os.environ.get(MARKER) == str(layout.root):  # not where a user tries it in a shell's session
        for pid in end_leftovers(os.getsid(0)):
            print(f"nodectl: ended process {pid}, left by a service that died", flush=True)
    for endpoint in started.after:
        wait_for(endpoint)
    container.remove([started.container])  # a client that was killed left it running
    _deregister(started)
    launch.write_files(started, layout, service)
    runners = {"gang": started.gang, "gate": started.gate, "attach": started.env.get(registration.STORE)}
    for runner, wanted in runners.items():
        if wanted is not None:
            argv = [sys.executable, "-P", "-m", "nodectl", runner, "--root", str(layout.root)]
            os.execv(sys.executable, [*argv, "--service", service])  # noqa: S606 - no shell is the point
    env = launch.environment(started, layout, os.environ)
    os.chdir(layout.data)
    command = launch.command(started)
    os.execvpe(command[0], command, env)  # noqa: S606 - no shell is the point


def _deregister(started: launch.Launch) -> None:
    """Take dead predecessors out of the registry; a start does not depend on it, their leases end anyway."""
    try:
        if gone := registration.revoke_predecessors(started.env):
            print(f"nodectl: took {gone} dead predecessors out of the registry", flush=True)
    except registration.TROUBLES as error:
        print(f"nodectl: dead predecessors may stay registered until their lease ends: {error}", flush=True)


def wait_for(endpoint: str) -> None:
    """Return when `endpoint` (`host:port`) accepts a connection; until then say so now and then."""
    host, _, port = endpoint.rpartition(":")
    began = tell_at = time.monotonic()
    pause = _FIRST_PAUSE
    while True:
        try:
            socket.create_connection((host, int(port)), timeout=2).close()
        except OSError as error:
            now = time.monotonic()
            if now >= tell_at:
                print(f"nodectl: waiting for {endpoint} ({now - began:.0f} s): {error}", flush=True)
                tell_at = now + _TELL_EVERY
            time.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
        else:
            return


def _count(starts: Path) -> None:
    before = int(starts.read_text(encoding="ascii") or 0) if starts.exists() else 0
    starts.write_text(str(before + 1), encoding="ascii")
