"""Ctrl-C while Pulumi changes resources: it is Pulumi that ends in order, and is waited for."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.waiting import eventually

PROJECT = Path(__file__).parents[3]
CHANGES = {
    "up": "from operations.verbs.up import _update; _update('local', [])",
    "destroy": "from operations.destroying import _destroy; _destroy('local', [])",
    "refresh": "from operations.fleet import forget; forget('local', [])",
}

PULUMI = """\
import pathlib, signal, sys, time
if sys.argv[1] == "stack":
    sys.exit(6)
def cancel(*_):
    time.sleep(1)
    pathlib.Path("cancelled").touch()
    sys.exit(3)
signal.signal(signal.SIGINT, cancel)
pathlib.Path("begun").touch()
time.sleep(60)
"""


@pytest.mark.parametrize("change", CHANGES)
def test_an_interrupt_lets_pulumi_cancel_what_it_began(tmp_path: Path, change: str) -> None:
    (tmp_path / "stacks").symlink_to(PROJECT / "stacks")
    pulumi = tmp_path / "pulumi"
    pulumi.write_text(f"#!{sys.executable}\n{PULUMI}")
    pulumi.chmod(0o755)
    environ = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "PYTHONPATH": str(PROJECT)}
    with subprocess.Popen(
        [sys.executable, "-c", CHANGES[change]],
        cwd=tmp_path,
        env=environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as started:
        eventually((tmp_path / "begun").exists, what="pulumi runs")
        os.killpg(started.pid, signal.SIGINT)  # as a terminal does
        started.wait(timeout=30)
    assert (tmp_path / "cancelled").exists()
