"""First boot of an instance, before any `up` reaches it: its deadline is in its user data."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from nodectl.contract.runtime import Lifetime
from nodectl.host import deadline, lifetime, units
from planning.aws.userdata import user_data
from planning.nodes.idle_stop import REACHED_MINUTES, first_boot
from tests.unit.account_examples import aws_plan
from tests.unit.nodectl.stub_programs import StubPrograms

LARGEST = 16 * 1024
"""Bytes of user data that EC2 takes, before they are encoded."""

KEY = "-----BEGIN OPENSSH PRIVATE KEY-----\n" + "x" * 400 + "\n"

DEADLINES: dict[str, tuple[dict[str, Any], int | None]] = {
    "nothing ends machines": ({}, None),
    "a lifetime": ({"maxMinutes": 480}, 480),
    "a lifetime and an end of idle machines": ({"maxMinutes": 480, "idleMinutes": 30}, 480),
    "an end of idle machines alone": ({"idleMinutes": 240}, 240),
    "an end of idle machines that would come before `up` does": ({"idleMinutes": 15}, REACHED_MINUTES),
}


def configured(keys: dict[str, Any]) -> dict[str, Any]:
    settings = aws_plan(lifetime=keys).settings
    text = user_data(KEY, "ssh-ed25519 AAAA stack", deadline=first_boot(settings))
    assert text == user_data(KEY, "ssh-ed25519 AAAA stack", deadline=first_boot(settings))
    assert len(text.encode()) < LARGEST
    config: dict[str, Any] = yaml.safe_load(text)
    return config


@pytest.mark.parametrize("name", DEADLINES)
def test_a_machine_that_no_up_reaches_ends_by_itself_where_the_stack_file_has_machines_end(name: str) -> None:
    keys, minutes = DEADLINES[name]
    config = configured(keys)
    files = {file["path"]: file["content"] for file in config["write_files"]}
    timer = files.get(str(deadline.TIMER_FILE))
    if minutes is None:
        assert timer is None
        assert deadline.SERVICE not in str(files)
        return
    assert timer is not None
    assert f"\nOnBootSec={minutes - 10}min\n" in timer, "the warning is part of it"
    assert "--poweroff +10 " in files[str(deadline.TIMER_FILE.with_name(deadline.SERVICE))]
    assert [deadline.TIMER in str(command) for command in config["runcmd"]] == [False, True, False]


def test_up_finds_the_units_that_it_would_write_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(units, "FOLDER", tmp_path)
    monkeypatch.setattr(units, "STAMPS", tmp_path / "run")
    stubs = StubPrograms(tmp_path / "bin", monkeypatch)
    for name in ("systemctl", "shutdown"):
        stubs.add(name)
    lifetime.keep(Lifetime(minutes=480, warn_minutes=10))
    config = configured({"maxMinutes": 480})
    booted = {Path(file["path"]).name: file["content"] for file in config["write_files"]}
    here = (f"{tmp_path}/bin/shutdown", "/usr/sbin/shutdown")
    kept = {path.name: path.read_text().replace(*here) for path in tmp_path.glob("*lifetime*")}
    assert set(kept) == {deadline.TIMER, deadline.SERVICE}
    assert kept.items() <= booted.items()
