"""`nodectl attach`: runs a service that registers in etcd, and ends it when etcd has lost what it registered.

A service that is told to stop serves its requests in flight to the end, whoever tells it: its supervisor, or
this runner, which the supervisor then starts again (`nodectl.origin` says why).
"""

import argparse
import signal
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nodectl import child, container, launch
from nodectl.layout import Layout
from nodectl.origin import Origin, end_when_lost

_KILL_SECONDS: Final = 10.0


def main(argv: Sequence[str]) -> int:
    """Run a service until it ends, etcd loses its registration, or SIGTERM says to stop."""
    parser = argparse.ArgumentParser(prog="nodectl attach", description=main.__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the node's folder")
    parser.add_argument("--service", required=True)
    options = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, child.stop)
    layout = Layout.at(options.root)
    started = launch.read(layout, options.service)
    origin = Origin(started.env[launch.STORE])
    service = child.start(started, layout)
    try:
        end_when_lost(origin)
        code = service.wait()
        print(f"nodectl: the service ended with {code}", flush=True)
    finally:
        child.end(service, started.stop_seconds, _KILL_SECONDS)
        container.remove([started.container])
    return code if code >= 0 else 128 - code  # as a shell tells of a signal
