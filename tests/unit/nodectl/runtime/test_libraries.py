"""Shared libraries that a machine itself must have."""

from pathlib import Path

import pytest

from nodectl.common.errors import BadInputError
from nodectl.runtime import libraries
from tests.unit.nodectl.stub_programs import StubPrograms


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubPrograms:
    monkeypatch.setattr(libraries, "FOLDERS", (tmp_path / "efa",))
    monkeypatch.setattr("os.geteuid", lambda: 0)
    (tmp_path / "efa").mkdir()
    found = StubPrograms(tmp_path / "bin", monkeypatch)
    found.add("apt-get")
    found.add("ldconfig", "echo '\tlibhwloc.so.5 (libc6,x86-64) => /lib/libhwloc.so.5'")
    return found


def test_libfabric_is_found_where_the_efa_installer_puts_it(programs: StubPrograms, tmp_path: Path) -> None:
    (tmp_path / "efa" / "libfabric.so.1").touch()
    assert libraries.ensure("libfabric.so.1")


def test_a_machine_without_libfabric_is_refused_with_the_remedy(programs: StubPrograms) -> None:
    with pytest.raises(BadInputError, match=r"libfabric.so.1 is not on this machine: .*efa: false"):
        libraries.ensure("libfabric.so.1")
    assert programs.calls("apt-get") == []


def test_hwloc_comes_from_the_distribution(programs: StubPrograms, tmp_path: Path) -> None:
    listing = tmp_path / "listing"
    listing.touch()
    programs.add("ldconfig", f"cat {listing}")
    programs.add("apt-get", f"echo '	libhwloc.so.15 (libc6,x86-64) => /lib/libhwloc.so.15' >{listing}")
    assert not libraries.ensure("libhwloc.so.15")
    assert libraries.ensure("libhwloc.so.15")
    assert len(programs.calls("apt-get")) == 1


def test_a_distribution_that_does_not_help_is_told(programs: StubPrograms) -> None:
    with pytest.raises(
        BadInputError, match=r"libhwloc.so.15 is not on this machine: `apt install libhwloc15`"
    ):
        libraries.ensure("libhwloc.so.15")
