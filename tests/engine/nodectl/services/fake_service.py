"""A service for tests: says how it was started, listens, and ends as it is told."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument(
    "--report", type=Path, required=True, help="file that gets pid, arguments and environment"
)
parser.add_argument("--listen", help="host:port")
parser.add_argument("--linger", type=float, default=0, help="seconds between SIGTERM and the end")
parser.add_argument("--child", action="store_true", help="have a child process that outlives it")
parser.add_argument("--crash", action="store_true")
parser.add_argument("--text", nargs="*", help="anything")
parser.add_argument("--word", help="anything")
options = parser.parse_args()


def stop(*_: object) -> None:
    time.sleep(options.linger)
    options.report.with_suffix(".stopped").touch()
    sys.exit(0)


signal.signal(signal.SIGTERM, stop)
signal.signal(signal.SIGHUP, lambda *_: options.report.with_suffix(".reread").touch())
print("fake service starts", flush=True)
# without an environment, as an engine that set its title
child = subprocess.Popen(["sleep", "1000"], env={}).pid if options.child else None
report = {
    "pid": os.getpid(),
    "argv": sys.argv,
    "env": dict(os.environ),
    "cwd": str(Path.cwd()),
    "child": child,
}
draft = options.report.with_suffix(f".{os.getpid()}")
draft.write_text(json.dumps(report))
draft.replace(options.report)
if options.crash:
    sys.exit("crashed")
if options.listen:
    host, _, port = options.listen.rpartition(":")
    server = socket.create_server((host, int(port)))
while True:
    time.sleep(1000)
