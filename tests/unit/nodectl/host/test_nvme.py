"""The instance store as a machine's cache: what is mounted, what is made, what is left alone.

Disks are loop devices where this machine lets the tests have some, or else stubs.
"""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from nodectl.common.errors import NodectlError
from nodectl.common.layout import Layout
from nodectl.contract import codec
from nodectl.contract.manifest import Manifest
from nodectl.contract.runtime import InstallSpec, RuntimeSpec
from nodectl.host import nvme
from nodectl.host.nvme import LABEL, MODEL, Places
from nodectl.verbs import restore
from tests.unit.nodectl.stub_programs import StubPrograms

NOTHING_FOUND = "exit 2"


class Machine:
    """A machine with disks of its own; `/dev`, `/sys/block` and the mounts are the test's."""

    def __init__(self, folder: Path) -> None:
        self.cache = folder / "dynamo-multinode"
        self.places = Places(folder / "sys", folder / "dev", folder / "mounts", folder / "ready-made")
        self.places.block.mkdir()
        self.places.devices.mkdir()

    def add(self, name: str, model: str = MODEL, device: Path | None = None) -> Path:
        """Add a disk; return its folder in `/sys/block`."""
        (self.places.block / name / "device").mkdir(parents=True)
        (self.places.block / name / "device" / "model").write_text(f"{model:<40}\n")
        if device is not None:
            (self.places.devices / name).symlink_to(device)
        return self.places.block / name

    def ensure(self) -> bool:
        return nvme.ensure(self.cache, time.monotonic() + 60, self.places)


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> StubPrograms:
    found = StubPrograms(tmp_path / "bin", monkeypatch)
    for name in ("systemctl", "mount", "mkfs.ext4", "mdadm"):
        found.add(name)
    found.add("blkid", NOTHING_FOUND)
    return found


def made(programs: StubPrograms) -> list[str]:
    """Return the calls that change something."""
    return [call for call in programs.calls() if call.split()[0] not in ("blkid", "systemctl")]


def test_several_disks_become_one_striped_file_system(machine: Machine, programs: StubPrograms) -> None:
    for name in ("nvme2n1", "nvme1n1"):
        machine.add(name)
    machine.add("nvme0n1", "Amazon Elastic Block Store")
    assert not machine.ensure()
    devices = machine.places.devices
    array = devices / "md" / LABEL
    assert made(programs) == [
        "mdadm --assemble --scan",
        (
            f"mdadm --create {array} --run --level=0 --raid-devices=2 --homehost=any --name={LABEL} "
            f"{devices}/nvme1n1 {devices}/nvme2n1"
        ),
        f"mkfs.ext4 -q -F -m 0 -E nodiscard -L {LABEL} {array}",
        f"mount -o noatime {array} {machine.cache}",
    ]


def test_what_was_made_before_is_mounted_as_it_is(machine: Machine, programs: StubPrograms) -> None:
    machine.add("nvme1n1")
    programs.add("blkid", f'[ "$1 $2" = "-L {LABEL}" ] && echo /dev/md127')
    machine.ensure()
    assert made(programs)[1:] == [f"mount -o noatime /dev/md127 {machine.cache}"]


def test_an_array_that_a_kill_left_without_a_file_system_gets_one(
    machine: Machine, programs: StubPrograms
) -> None:
    (machine.add("nvme1n1") / "holders" / "md127").mkdir(parents=True)
    array = machine.places.devices / "md" / LABEL
    array.mkdir(parents=True)
    machine.ensure()
    assert made(programs)[1].endswith(f"-L {LABEL} {array}")


@pytest.mark.parametrize("use", ["holders/dm-0", "nvme1n1p1"])
def test_disks_that_are_used_for_something_else_are_left_alone(
    machine: Machine, programs: StubPrograms, use: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (machine.add("nvme1n1") / use).mkdir(parents=True)
    assert not machine.ensure()
    assert made(programs) == ["mdadm --assemble --scan"]
    said = capsys.readouterr().err
    assert "nvme1n1 is left alone, it is used for something else" in said
    assert f"no free instance store here, {machine.cache} stays on the root volume" in said


def test_disks_that_are_mounted_or_hold_a_file_system_are_left_alone(
    machine: Machine, programs: StubPrograms
) -> None:
    machine.add("nvme1n1")
    machine.add("nvme2n1")
    machine.places.mounts.write_text(f"{machine.places.devices}/nvme1n1 /mnt ext4 rw 0 0\n")
    programs.add("blkid", 'case "$*" in *nvme2n1) echo TYPE=xfs ;; *) exit 2 ;; esac')
    machine.ensure()
    assert made(programs) == ["mdadm --assemble --scan"]


def test_the_deep_learning_amis_own_mount_is_waited_for_and_used(
    machine: Machine, programs: StubPrograms, monkeypatch: pytest.MonkeyPatch
) -> None:
    machine.places.ready_made.mkdir()
    started = "systemctl start dlami-nvme.service"
    monkeypatch.setattr(
        "os.path.ismount", lambda path: path == machine.places.ready_made and started in programs.calls()
    )
    machine.ensure()
    assert programs.calls() == [
        started,
        f"mount --bind {machine.places.ready_made}/{LABEL} {machine.cache}",
    ]


def test_a_step_that_fails_is_told_with_what_it_said(machine: Machine, programs: StubPrograms) -> None:
    machine.add("nvme1n1")
    programs.add("mkfs.ext4", "echo no space >&2; exit 1")
    with pytest.raises(NodectlError, match=r"mkfs.ext4 -q .*nvme1n1 failed with 1: no space"):
        machine.ensure()


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Yield a loop device of 64 MB."""
    image = tmp_path / "disk"
    image.write_bytes(b"")
    os.truncate(image, 64 << 20)
    made = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"this machine gives no loop device: {made.stderr.strip()}")
    device = Path(made.stdout.strip())
    yield device
    subprocess.run(["umount", "--quiet", device], check=False)
    subprocess.run(["losetup", "--detach", device], check=True)


def test_a_real_disk_keeps_what_it_holds_over_a_reboot(machine: Machine, disk: Path) -> None:
    machine.add("nvme1n1", device=disk)
    assert not machine.ensure()
    assert machine.ensure()
    (machine.cache / "model").write_text("weights")
    subprocess.run(["umount", machine.cache], check=True)
    assert not (machine.cache / "model").exists()
    assert not machine.ensure()
    assert (machine.cache / "model").read_text() == "weights"


def test_at_boot_nodes_on_an_instance_store_are_installed_again_with_their_secrets(tmp_path: Path) -> None:
    layout = Layout.at(tmp_path / "node")
    layout.make()
    assert list(restore.specs(layout)) == []
    runtime = RuntimeSpec(variant="gpu", lock="x", model=None)
    applied = Manifest(node="node-1", identity="i", runtime=runtime, generation="g", services={})
    layout.manifest.write_text(codec.written(applied))
    assert list(restore.specs(layout)) == []
    runtime = replace(runtime, cache="nvme")
    layout.manifest.write_text(codec.written(replace(applied, runtime=runtime)))
    layout.secret("HF_TOKEN").write_text("planted")
    assert list(restore.specs(layout)) == [InstallSpec.of(runtime, {"HF_TOKEN": "planted"})]
