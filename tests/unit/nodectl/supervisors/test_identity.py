"""A local node keeps its identity for as long as its supervisor lives, and not longer."""

import subprocess
import sys
from pathlib import Path

import pytest

from nodectl.common import procfs
from nodectl.common.layout import Layout
from nodectl.supervisors.identity import local_identity, record, recorded


def test_a_node_that_was_never_set_up_is_new_each_time(tmp_path: Path) -> None:
    assert local_identity(tmp_path) != local_identity(tmp_path)
    assert recorded(Layout.at(tmp_path)) is None


def test_the_identity_stays_while_the_supervisor_lives_and_ends_with_it(tmp_path: Path) -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record(Layout.at(tmp_path), "first", supervisor.pid)
    assert local_identity(tmp_path) == local_identity(str(tmp_path)) == "first"
    supervisor.kill()
    supervisor.wait()
    assert local_identity(tmp_path) != "first"
    assert recorded(Layout.at(tmp_path)) == "first"


def test_a_supervisor_that_only_waits_to_be_collected_lives_no_more(tmp_path: Path) -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record(Layout.at(tmp_path), "first", supervisor.pid)
    supervisor.kill()
    while local_identity(tmp_path) == "first":  # bounded by pytest's timeout
        pass
    supervisor.wait()


def test_a_reboot_ends_the_identity(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    supervisor = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record(Layout.at(tmp_path), "first", supervisor.pid)
    boot = tmp_path / "boot_id"
    boot.write_text("another\n")
    monkeypatch.setattr(procfs, "BOOT_ID", boot)
    assert local_identity(tmp_path) != "first"
    supervisor.kill()
    supervisor.wait()
