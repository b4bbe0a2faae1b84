"""Stands in for the headless ranks of an engine that has none: Dynamo's mocker, which runs on one node only.

Like a headless rank of vLLM it needs rank 0 and ends with it.
"""

import argparse
import socket
import sys
from collections.abc import Sequence

from nodectl.common.waiting import Wait


def main(argv: Sequence[str]) -> int:
    """Hold a connection to rank 0; end when it is lost."""
    parser = argparse.ArgumentParser(prog="rank_standin", description=main.__doc__)
    parser.add_argument("--connect", required=True, metavar="HOST:PORT", help="a port of rank 0")
    rank_zero = parser.parse_args(argv).connect
    with _connected(rank_zero) as connection:
        print(f"connected to rank 0 at {rank_zero}", flush=True)
        while connection.recv(4096):
            pass
    print(f"rank 0 at {rank_zero} is gone", flush=True)
    return 1


def _connected(endpoint: str) -> socket.socket:
    """Return a connection to `endpoint`, as soon as it accepts one."""
    host, _, port = endpoint.rpartition(":")
    accepts = Wait(endpoint, interval=0.2, pending=(OSError,))
    return accepts.attempt(lambda: socket.create_connection((host, int(port))))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
