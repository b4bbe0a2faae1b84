"""The same units on the same hosts, started by an Ansible playbook."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.deployments import UNITS, Deployment
from tools.toolchain.common import PROJECT

PLAYBOOK: Final = Path(__file__).with_name("ansible") / "playbook.yml"
ANSIBLE: Final = "ansible-core==2.19.14"
FORKS: Final = 8
_ENVIRONMENT: Final = PROJECT / ".run/benchmarks/ansible"


def ensure() -> Path:
    """Return the program `ansible-playbook`, in its own environment, which is created the first time."""
    program = _ENVIRONMENT / "bin/ansible-playbook"
    if not program.exists():
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, _ENVIRONMENT], check=True)
        python = str(_ENVIRONMENT / "bin/python")
        subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, ANSIBLE], check=True)
    return program


def start(deployments: Sequence[Deployment], key: Path, user: str) -> None:
    """Start each host's deployment; returns when the playbook has ended.

    Uses the fast settings of Ansible's documentation: pipelining, shared connections, no facts.
    """
    with tempfile.TemporaryDirectory() as folder:
        known_hosts = Path(folder, "known_hosts")
        known_hosts.write_text(
            "".join(f"{deployment.host.address} {deployment.host.host_key}\n" for deployment in deployments)
        )
        inventory = Path(folder, "inventory.json")
        inventory.write_text(json.dumps(_inventory(deployments, key, user, known_hosts)))
        env = dict(
            os.environ,
            ANSIBLE_HOME=folder,
            ANSIBLE_FORKS=str(FORKS),
            ANSIBLE_PIPELINING="True",
            ANSIBLE_SSH_ARGS="-C -o ControlMaster=auto -o ControlPersist=10s",  # the default is 60s
        )
        command = [str(ensure()), "--inventory", str(inventory), str(PLAYBOOK)]
        completed = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if completed.returncode:
            raise SystemExit(f"Ansible: {completed.stdout}\n{completed.stderr}")


def _inventory(deployments: Sequence[Deployment], key: Path, user: str, known_hosts: Path) -> object:
    hosts = {
        deployment.host.name: {
            "ansible_host": deployment.host.address,
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={known_hosts}",
            "ansible_python_interpreter": "/usr/bin/python3",
            "files": str(deployment.files),
            "release": str(deployment.release),
            "units_folder": str(UNITS),
            "units": deployment.units,
            "node": str(deployment.node),
            "launches": deployment.launches,
        }
        for deployment in deployments
    }
    return {"all": {"hosts": hosts}}
