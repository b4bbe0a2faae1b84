"""The floor: the same units on the same hosts, started by one hand-written `ssh` a host, side by side."""

import base64
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks.left import Left

SCRIPT: Final = """\
set -eu
useradd --system --no-create-home --home-dir /nonexistent --shell /usr/sbin/nologin dynamo-multinode
base64 --decode <<'FILES' | tar --extract --gzip --no-same-owner --directory=/
{files}
FILES
cd '{node}'
mkdir -p data home
chgrp -R dynamo-multinode .
chown dynamo-multinode data home
chmod 750 . launches
chmod 640 launches/*
chmod 700 data home
systemctl enable --quiet --now {units}
"""


def start(left: Sequence[Left], key: Path, user: str) -> None:
    """Start what was left on each host; returns when `systemctl` has on all of them."""
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder, "known_hosts")
        known.write_text("".join(f"{one.host.address} {one.host.host_key}\n" for one in left))
        with ThreadPoolExecutor(len(left)) as pool:
            list(pool.map(lambda one: _start(one, key, user, known), left))


def _start(left: Left, key: Path, user: str, known: Path) -> None:
    files = base64.encodebytes(_packed(left)).decode().rstrip()
    script = SCRIPT.format(files=files, node=left.node, units=" ".join(left.units))
    options = ["-oBatchMode=yes", f"-oUserKnownHostsFile={known}", f"-i{key}", f"-l{user}"]
    command = ["ssh", *options, left.host.address, "sudo", "-n", "bash", "-s"]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{left.host.name} by hand: {done.stderr}")


def _packed(left: Left) -> bytes:
    pack = ["tar", "--create", "--gzip", f"--directory={left.files}", "."]
    return subprocess.run(pack, capture_output=True, check=True).stdout
