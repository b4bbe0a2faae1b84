"""Messages of the lab about itself and about wrong input, without booting anything."""

from pathlib import Path

import pytest

from tools.hostlab import lab as labs
from tools.hostlab.errors import LabError
from tools.hostlab.keys import public_host_key
from tools.hostlab.lab import Lab


@pytest.fixture
def two_hosts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    """A lab whose hosts have disks, one that is being made, and no power."""
    monkeypatch.setattr(labs, "PROJECT", tmp_path)
    monkeypatch.setattr(labs, "LABS", tmp_path / ".run/lab")
    lab = Lab("192.168.200.0/24")
    for name in ("lab-1", "lab-2", "lab-3.partial"):
        (lab.folder / name).mkdir(parents=True)
    return lab


def test_host_keys_are_the_same_in_every_lab_so_that_stack_files_can_name_them() -> None:
    assert (
        public_host_key("lab-1")
        == "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGAgEGNedF3RWLspf6t5OrXdXCwd1HeDFeDRTCchXS9r"
    )
    assert public_host_key("lab-2") != public_host_key("lab-1")


def test_a_host_that_is_not_there_is_named_with_those_that_are(two_hosts: Lab) -> None:
    with pytest.raises(LabError, match="there is no host 'lab-9'; there are lab-1, lab-2"):
        two_hosts.host("lab-9")


@pytest.mark.parametrize("count", [0, -1, 201])
def test_a_lab_of_no_hosts_or_too_many_is_refused(two_hosts: Lab, count: int) -> None:
    with pytest.raises(LabError, match=f"a lab has 1 to 200 hosts, not {count}"):
        two_hosts.up(count)


@pytest.mark.parametrize(
    "text", ["10.77.0.0", "10.77.0.1/24", "10.77.0.0/16", "8.8.8.0/24", "$(id)", "::/24"]
)
def test_a_range_that_cannot_be_is_refused_with_the_variable_that_says_it(
    monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    monkeypatch.setenv("LAB_NETWORK", text)
    with pytest.raises(LabError, match=r"LAB_NETWORK=.*use a private /24 like 10\.77\.0\.0/24"):
        Lab()
