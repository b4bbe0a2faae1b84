"""`nodectl run-registered`: runs a service, and ends it when etcd has lost what the service registered.

A service that is told to stop serves its requests in flight to the end, whoever tells it: its supervisor, or
this runner, which the supervisor then starts again (`nodectl.etcd.data_mark` says why).
"""

import signal
from collections.abc import Sequence

from nodectl.etcd import registration
from nodectl.etcd.data_mark import DataMark, end_when_lost
from nodectl.runtime import container
from nodectl.supervisors import child, launch
from nodectl.verbs import options


def main(argv: Sequence[str]) -> int:
    """Run a service until it ends, etcd loses its registration, or SIGTERM says to stop."""
    layout, service = options.service("run-registered", main.__doc__, argv)
    signal.signal(signal.SIGTERM, child.stop)
    service_launch = launch.read(layout, service)
    mark = DataMark(service_launch.env[registration.STORE])
    process = child.start(service_launch, layout)
    try:
        end_when_lost(mark)
        code = process.wait()
        print(f"nodectl: the service ended with {code}", flush=True)
    finally:
        child.end(process, service_launch.stop_seconds)
        container.remove([service_launch.container])
    return code if code >= 0 else 128 - code  # as a shell tells of a signal
