"""Machines that power themselves off a set time after each boot."""

from dataclasses import replace
from pathlib import Path

import pytest

from nodectl.common.errors import NodectlError
from nodectl.contract.runtime import Lifetime
from nodectl.host import deadline, lifetime, units
from tests.unit.nodectl.stub_programs import StubPrograms

TWO_HOURS = Lifetime(minutes=120, warn_minutes=10)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubPrograms:
    monkeypatch.setattr(units, "FOLDER", tmp_path)
    monkeypatch.setattr(units, "STAMPS", tmp_path / "run")
    found = StubPrograms(tmp_path / "bin", monkeypatch)
    for name in ("systemctl", "shutdown"):
        found.add(name)
    return found


def test_a_timer_of_systemd_announces_the_end_while_the_warning_still_has_its_time(
    programs: StubPrograms, tmp_path: Path
) -> None:
    lifetime.keep(TWO_HOURS)
    assert "\nOnBootSec=110min\n" in (tmp_path / deadline.TIMER).read_text()
    service = (tmp_path / deadline.SERVICE).read_text()
    assert f'\nExecStart={tmp_path}/bin/shutdown --poweroff +10 "dynamo-multinode: the lifetime' in service
    assert programs.calls("systemctl") == [
        "systemctl daemon-reload",
        f"systemctl --quiet enable -- {deadline.TIMER}",
        f"systemctl restart --no-block -- {deadline.TIMER}",
    ]


def test_a_warning_that_is_longer_than_the_life_begins_at_the_boot() -> None:
    texts = deadline.texts(Lifetime(minutes=5, warn_minutes=60), "/sbin/shutdown")
    assert "\nOnBootSec=0min\n" in texts[deadline.TIMER]
    assert "--poweroff +5 " in texts[deadline.SERVICE]


def test_a_lifetime_that_stays_starts_no_timer_anew_and_calls_nothing_off(programs: StubPrograms) -> None:
    lifetime.keep(TWO_HOURS)
    before = programs.calls()
    lifetime.keep(TWO_HOURS)
    assert programs.calls() == before


def test_a_lifetime_that_was_cut_off_before_its_timer_ran_is_begun_again(programs: StubPrograms) -> None:
    programs.add("systemctl", '[ "$1" != restart ]')
    with pytest.raises(NodectlError, match="systemctl restart failed"):
        lifetime.keep(TWO_HOURS)
    programs.add("systemctl")
    lifetime.keep(TWO_HOURS)
    assert programs.calls()[-1] == f"systemctl restart --no-block -- {deadline.TIMER}"


def test_another_lifetime_calls_an_announced_end_off_before_the_timer_decides_anew(
    programs: StubPrograms,
) -> None:
    lifetime.keep(TWO_HOURS)
    lifetime.keep(replace(TWO_HOURS, minutes=240))
    assert programs.calls()[-2:] == ["shutdown -c", f"systemctl restart --no-block -- {deadline.TIMER}"]


def test_without_a_lifetime_nothing_of_one_stays(programs: StubPrograms, tmp_path: Path) -> None:
    lifetime.keep(None)
    assert programs.calls() == []
    lifetime.keep(TWO_HOURS)
    lifetime.keep(None)
    assert not list(tmp_path.glob(f"{deadline.NAME}*"))
    assert programs.calls()[-1] == "shutdown -c"
