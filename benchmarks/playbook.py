"""The same units on the same hosts, started by an Ansible playbook."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from benchmarks.left import UNITS, Left
from tools.toolchain.common import PROJECT

PLAYBOOK: Final = Path(__file__).with_name("ansible") / "playbook.yml"
ANSIBLE: Final = "ansible-core==2.19.14"
FORKS: Final = 8
_ENVIRONMENT: Final = PROJECT / ".run/benchmarks/ansible"


def ensure() -> Path:
    """Return the program, in an environment of its own that is made the first time."""
    program = _ENVIRONMENT / "bin/ansible-playbook"
    if not program.exists():
        subprocess.run(["uv", "venv", "--quiet", "--python", sys.executable, _ENVIRONMENT], check=True)
        python = str(_ENVIRONMENT / "bin/python")
        subprocess.run(["uv", "pip", "install", "--quiet", "--python", python, ANSIBLE], check=True)
    return program


def start(left: Sequence[Left], key: Path, user: str) -> None:
    """Start what was left on each host; returns when the playbook has ended.

    Its settings are the fast ones of its documentation: pipelining, connections that are shared, no facts.
    """
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder, "known_hosts")
        known.write_text("".join(f"{one.host.address} {one.host.host_key}\n" for one in left))
        inventory = Path(folder, "inventory.json")
        inventory.write_text(json.dumps(_inventory(left, key, user, known)))
        env = dict(
            os.environ,
            ANSIBLE_HOME=folder,
            ANSIBLE_FORKS=str(FORKS),
            ANSIBLE_PIPELINING="True",
            ANSIBLE_SSH_ARGS="-C -o ControlMaster=auto -o ControlPersist=10s",  # the default is 60s
        )
        command = [str(ensure()), "--inventory", str(inventory), str(PLAYBOOK)]
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"Ansible: {done.stdout}\n{done.stderr}")


def _inventory(left: Sequence[Left], key: Path, user: str, known: Path) -> object:
    hosts = {
        one.host.name: {
            "ansible_host": one.host.address,
            "ansible_user": user,
            "ansible_ssh_private_key_file": str(key),
            "ansible_ssh_common_args": f"-o UserKnownHostsFile={known}",
            "ansible_python_interpreter": "/usr/bin/python3",
            "files": str(one.files),
            "release": str(one.release),
            "units_folder": str(UNITS),
            "units": one.units,
            "node": str(one.node),
            "launches": one.launches,
        }
        for one in left
    }
    return {"all": {"hosts": hosts}}
