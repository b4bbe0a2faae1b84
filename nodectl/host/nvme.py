"""The instance store of a machine as its cache: environments and models lie on NVMe, at the paths of always.

What was prepared lives through a reboot. An instance store is empty after a stop: a unit makes it anew at
each boot, and has what the node needs put there again before its services start (`nodectl restore`). AWS's
Deep Learning AMI mounts the instance store itself; elsewhere it becomes one ext4 file system, over all disks
if there are several. Disks that hold anything else are left alone.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nodectl.common import procfs, programs, steps
from nodectl.common.errors import NodectlError
from nodectl.common.files import read_if_there
from nodectl.common.layout import CODE, HOST_CACHE
from nodectl.common.steps import say
from nodectl.host import units
from nodectl.supervisors import unitfile

LABEL: Final = "dynamo-multinode"
"""Of the file system and of the array: how they are found again. ext4 takes at most 16 characters."""

MODEL: Final = "Amazon EC2 NVMe Instance Storage"
"""The model that EC2's instance store disks report, and its network disks do not."""

DLAMI_UNIT: Final = "dlami-nvme.service"

_CALL_SECONDS: Final = 300
_FOUND_NOTHING: Final = 2
"""Exit code of blkid."""


@dataclass(frozen=True)
class Places:
    """Paths at which a machine's disks are seen."""

    block: Path = Path("/sys/block")
    devices: Path = Path("/dev")
    mounts: Path = procfs.MOUNTS
    ready_made: Path = Path("/opt/dlami/nvme")
    """Mounted by the Deep Learning AMI."""


def ensure(cache: Path, deadline: float, places: Places = Places()) -> bool:
    """Put `cache` on the instance store, if there is one; return whether it was there before.

    What was in the folder before lies below the mount from then on. Raises `NodectlError` where a step fails.
    """
    if cache == HOST_CACHE:
        _start_at_boot()
    if os.path.ismount(cache):
        return True
    with steps.locked(cache, deadline):
        if os.path.ismount(cache):
            return True
        if not os.path.ismount(places.ready_made):
            _await_ready_made()
        cache.mkdir(mode=0o755, exist_ok=True)
        if os.path.ismount(places.ready_made):
            folder = places.ready_made / LABEL
            folder.mkdir(mode=0o755, exist_ok=True)
            say(f"cache: on the machine's own {places.ready_made}")
            _run(["mount", "--bind", str(folder), str(cache)])
        elif device := _device(places):
            say(f"cache: on the instance store, {device}")
            _run(["mount", "-o", "noatime", str(device), str(cache)])
            cache.chmod(0o755)
        else:
            say(f"cache: no free instance store here, {cache} stays on the root volume")
    return False


def _start_at_boot() -> None:
    units.keep({unitfile.CACHE_UNIT: _unit_text()})


def _unit_text() -> str:
    return unitfile.render(
        {
            "Unit": {
                "Description": "cache on the instance store (dynamo-multinode)",
                "Wants": "network-online.target",
                "After": f"network-online.target local-fs.target {DLAMI_UNIT}",
                "StartLimitIntervalSec": "0",
            },
            "Service": {
                "Type": "oneshot",
                "RemainAfterExit": "yes",
                "ExecStart": f"{CODE / 'nodectl' / 'run'} node restore",
                "TimeoutStartSec": "infinity",
                "Restart": "on-failure",
                "RestartSec": "30",
            },
            "Install": {"WantedBy": "multi-user.target"},
        }
    )


def _await_ready_made() -> None:
    """Wait, right after a boot, for the Deep Learning AMI to mount the disks; others have no such unit.

    Starting what is about to start is waiting for it.
    """
    if systemctl := programs.look("systemctl"):
        programs.call([systemctl, "start", DLAMI_UNIT], _CALL_SECONDS)


def _device(places: Places) -> Path | None:
    """Return the device of the file system, made if need be; None where no disk is free for it."""
    if mdadm := programs.look("mdadm"):  # udev has done so at boot, on most systems
        programs.call([mdadm, "--assemble", "--scan"], _CALL_SECONDS)
    if existing := _blkid("-L", LABEL):
        return Path(existing)
    array = places.devices / "md" / LABEL
    if not array.exists():  # it would be there without a file system only where a kill came in between
        disks = _free(places)
        if not disks:
            return None
        array = disks[0] if len(disks) == 1 else _striped(array, disks)
    say(f"cache: making a file system on {array}")
    _run(["mkfs.ext4", "-q", "-F", "-m", "0", "-E", "nodiscard", "-L", LABEL, str(array)])
    return array


def _free(places: Places) -> list[Path]:
    """Return the instance store's disks without partitions, file system or part in a volume."""
    mounted = procfs.mounted_devices(places.mounts)
    disks = []
    for disk in sorted(places.block.iterdir()):
        device = places.devices / disk.name
        if (read_if_there(disk / "device" / "model") or "").strip() != MODEL:
            continue
        parts = [*disk.glob(f"{disk.name}p*"), *disk.glob("holders/*")]
        if parts or str(device) in mounted or _blkid("-p", "-o", "export", str(device)):
            say(f"cache: {device} is left alone, it is used for something else")
        else:
            disks.append(device)
    return disks


def _striped(array: Path, disks: Sequence[Path]) -> Path:
    programs.ensure("mdadm")
    options = ["--run", "--level=0", f"--raid-devices={len(disks)}", "--homehost=any", f"--name={LABEL}"]
    _run([programs.find("mdadm"), "--create", str(array), *options, *map(str, disks)])
    return array


def _blkid(*arguments: str) -> str:
    """Return what blkid says, nothing where it finds nothing."""
    result = programs.call([programs.find("blkid"), *arguments], _CALL_SECONDS)
    if result.returncode not in (0, _FOUND_NOTHING):
        raise NodectlError(
            f"blkid {' '.join(arguments)} failed with {result.returncode}: {result.stderr.strip()}"
        )
    return result.stdout.strip()


def _run(command: Sequence[str]) -> None:
    programs.run([programs.find(command[0]), *command[1:]], _CALL_SECONDS)
