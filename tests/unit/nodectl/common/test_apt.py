"""Packages of the distribution, on machines whose boot is not over and whose apt is in use."""

from pathlib import Path

import pytest

from nodectl.common import apt, programs
from nodectl.common.errors import NodectlError
from nodectl.runtime import libraries
from tests.unit.nodectl.stub_programs import StubPrograms

LOCKED = (
    "E: Could not get lock /var/lib/dpkg/lock-frontend. It is held by process 812 (unattended-upgr)",
    "E: Could not get lock /var/lib/apt/lists/lock. It is held by process 812 (apt-get)",
    "E: Unable to lock directory /var/lib/apt/lists/",
    "E: Unable to acquire the dpkg frontend lock (/var/lib/dpkg/lock-frontend), is another process using it?",
)
"""As apt 2.4 to 2.9 says it."""


@pytest.fixture
def stubs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubPrograms:
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr(apt, "_AGAIN_SECONDS", 0)
    apt._wait_for_cloud_init.cache_clear()  # it waits once a process
    return StubPrograms(tmp_path / "bin", monkeypatch)


def get(stubs: StubPrograms, script: str = "") -> str:
    stubs.add("apt-get", script)
    return str(programs.look("apt-get"))


def busy(tmp_path: Path, times: int, complaint: str) -> str:
    """Return a script that complains so many times of what it is called for, and then does it."""
    count = tmp_path / "count"
    return f"""
n=$(cat {count} 2>/dev/null || echo 0); echo $((n + 1)) >{count}
if [ "$n" -lt {times} ]; then echo '{complaint}' >&2; exit 100; fi"""


@pytest.mark.parametrize("complaint", LOCKED)
def test_an_apt_that_is_in_use_is_waited_for(stubs: StubPrograms, tmp_path: Path, complaint: str) -> None:
    apt.install(get(stubs, busy(tmp_path, 3, complaint)), "haproxy")
    calls = stubs.calls("apt-get")
    assert len(calls) == 4
    assert all(call.endswith("install -y -qq --no-install-recommends haproxy") for call in calls)
    assert all("-o DPkg::Lock::Timeout=600" in call for call in calls)


def test_a_lock_that_is_kept_for_ever_is_told(
    stubs: StubPrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "LOCK_SECONDS", -1)
    with pytest.raises(NodectlError, match=r"install haproxy yourself: .*It is held by process 812"):
        apt.install(get(stubs, busy(tmp_path, 99, LOCKED[0])), "haproxy")


def test_another_complaint_is_followed_by_new_lists_and_then_told(stubs: StubPrograms) -> None:
    script = "case \"$*\" in *update*) ;; *) echo 'E: Unable to locate package haproxy' >&2; exit 100;; esac"
    with pytest.raises(NodectlError, match="Unable to locate package haproxy"):
        apt.install(get(stubs, script), "haproxy")
    assert [call.split()[3] for call in stubs.calls("apt-get")] == ["install", "update", "install"]


def test_its_complaints_are_in_a_language_that_is_known(
    stubs: StubPrograms, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    apt.install(get(stubs, f"echo $LC_ALL $DEBIAN_FRONTEND >{tmp_path}/seen"), "haproxy")
    assert (tmp_path / "seen").read_text() == "C noninteractive\n"


def test_cloud_init_is_waited_for_once_and_before_apt(stubs: StubPrograms) -> None:
    stubs.add("cloud-init", "exit 2")  # done, with warnings
    for package in ("haproxy", "nftables"):
        apt.install(get(stubs), package)
    assert [call.split()[0] for call in stubs.calls()] == ["cloud-init", "apt-get", "apt-get"]
    assert stubs.calls("cloud-init") == ["cloud-init status --wait"]


def test_a_cloud_init_that_hangs_is_not_waited_for_for_ever(
    stubs: StubPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(apt, "CLOUD_INIT_SECONDS", 0.2)
    stubs.add("cloud-init", "exec sleep 60")
    apt.install(get(stubs), "haproxy")
    assert len(stubs.calls("apt-get")) == 1


@pytest.mark.parametrize("name", ["program", "library"])
def test_whatever_is_installed_by_apt_waits(
    stubs: StubPrograms, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = tmp_path / "done"
    stubs.add("cloud-init")
    stubs.add("systemctl")
    stubs.add("apt-get", f"touch {done}")
    stubs.add("ldconfig", f"[ -e {done} ] && echo '\tlibhwloc.so.15 (libc6) => /lib/x'; true")
    real = programs.look
    monkeypatch.setattr(
        programs, "look", lambda one: real(one) if one != "etcd" else "/etcd" if done.exists() else None
    )
    if name == "program":
        programs.ensure("etcd")
    else:
        libraries.ensure("libhwloc.so.15")
    assert stubs.calls("cloud-init") != []
    assert all("DPkg::Lock::Timeout" in call for call in stubs.calls("apt-get"))
