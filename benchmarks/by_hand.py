"""Baseline: the same units on the same hosts, started by one hand-written `ssh` per host, in parallel."""

import base64
import subprocess
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from benchmarks.deployments import Deployment

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


def start(deployments: Sequence[Deployment], key: Path, user: str) -> None:
    """Start each host's deployment; returns when `systemctl` has returned on all hosts."""
    with tempfile.TemporaryDirectory() as folder:
        known_hosts = Path(folder, "known_hosts")
        known_hosts.write_text(
            "".join(f"{deployment.host.address} {deployment.host.host_key}\n" for deployment in deployments)
        )
        with ThreadPoolExecutor(len(deployments)) as pool:
            list(pool.map(lambda deployment: _start(deployment, key, user, known_hosts), deployments))


def _start(deployment: Deployment, key: Path, user: str, known_hosts: Path) -> None:
    files = base64.encodebytes(_packed(deployment)).decode().rstrip()
    script = SCRIPT.format(files=files, node=deployment.node, units=" ".join(deployment.units))
    options = ["-oBatchMode=yes", f"-oUserKnownHostsFile={known_hosts}", f"-i{key}", f"-l{user}"]
    command = ["ssh", *options, deployment.host.address, "sudo", "-n", "bash", "-s"]
    completed = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    if completed.returncode:
        raise SystemExit(f"{deployment.host.name} by hand: {completed.stderr}")


def _packed(deployment: Deployment) -> bytes:
    pack = ["tar", "--create", "--gzip", f"--directory={deployment.files}", "."]
    return subprocess.run(pack, capture_output=True, check=True).stdout
