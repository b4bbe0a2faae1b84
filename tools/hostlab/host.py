"""One host of a lab: power on, power off, power cut, and commands within."""

import contextlib
import os
import signal
import socket
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from nodectl.common.waiting import Wait
from tools.hostlab import cgroups, disk
from tools.hostlab.errors import LabError
from tools.hostlab.keys import public_host_key
from tools.hostlab.network import BRIDGE, Network
from tools.toolchain.common import last_lines

BOOT_SECONDS = 90
"""A boot takes 2 seconds on a quiet machine."""

POWER_OFF_SECONDS = 150
"""systemd gives a unit 90 s to stop; this leaves some time more."""

POWER_OFF = signal.SIGRTMIN + 4
"""The signal that means the power button to systemd (systemd(1), SIGNALS)."""

BOOT = """\
mount -t overlay -o "$1" lab "$2" && mount -t tmpfs lab /run/systemd/nspawn && shift 2 || exit
while [ "$1" != -- ]; do echo 0 >"$1" && shift || exit; done
shift
setsid sh -c 'while "$@"; [ $? -eq 133 ]; do :; done' boot "$@" &
"""
"""Mounts, joins control groups and boots a host: OPTIONS ROOT GROUP… -- COMMAND….

COMMAND ends with 133 when the host reboots. The mounts are in a namespace that ends with the host, so nothing
is left to unmount; the second keeps off this machine what a killed systemd-nspawn leaves.
"""

ENVIRONMENT = {
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TERM": os.environ.get("TERM", "dumb"),
}


@dataclass(frozen=True)
class Host:
    """A machine with its own systemd, sshd, address and disk."""

    name: str
    address: str
    network: Network
    folder: Path
    """Folder of its disk."""

    @property
    def host_key(self) -> str:
        """Return the public host key: type and key."""
        return public_host_key(self.name)

    @property
    def group(self) -> str:
        """Return the name of its control group."""
        return f"lab{self.address}"

    @property
    def running(self) -> bool:
        """Return whether it has power."""
        return bool(cgroups.processes(self.group))

    @property
    def processor_seconds(self) -> float:
        """Return its processor time since power on, in seconds."""
        return cgroups.processor_seconds(self.group)

    @property
    def console(self) -> Path:
        """Return the file with its console output since the last power on."""
        return self.folder / "console.log"

    def power_on(self) -> None:
        """Turn it on, unless it is; `wait_until_ready` waits for the boot."""
        if self.running:
            return
        self.network.unplug(self.name)
        Path("/run/systemd/nspawn").mkdir(parents=True, exist_ok=True)
        binds = [
            f"--bind-ro={_escaped(source)}:{_escaped(destination)}"
            for destination, source in disk.bindings().items()
        ]
        nspawn = ["systemd-nspawn", "--quiet", f"--directory={disk.ROOT}", f"--machine={self.name}", *binds]
        nspawn += ["--register=no", "--keep-unit", f"--network-bridge={BRIDGE}", "--boot"]
        apart = ["nsenter", f"--net={self.network.namespace}", "unshare", "--mount", "--propagation=private"]
        groups = map(str, cgroups.make(self.group))
        boot = ["sh", "-c", BOOT, "boot", disk.MOUNT, disk.ROOT, *groups, "--", *nspawn]
        with self.console.open("wb") as console:
            completed = subprocess.run(
                [*apart, *boot], cwd=self.folder, stdout=console, stderr=subprocess.STDOUT, check=False
            )
        if completed.returncode:
            raise self._failure("does not start; the kernel needs overlayfs and control groups")

    def wait_until_ready(self) -> None:
        """Wait until sshd answers and the boot is over. Raises LabError with the console's last lines."""
        self._wait(BOOT_SECONDS, "does not come up", self._is_ready)

    def start(self) -> None:
        """Boot it with its existing disk, and wait until it is ready."""
        self.power_on()
        self.wait_until_ready()

    def stop(self) -> None:
        """Press the power button, and wait until it is off."""
        leader = self._leader()
        if leader is None:  # off, or before its first process
            self.kill()
            return
        os.kill(leader, POWER_OFF)
        self._wait(POWER_OFF_SECONDS, "does not power off; cut its power (kill)", lambda: not self.running)
        cgroups.remove(self.group)

    def kill(self) -> None:
        """Cut its power."""
        cgroups.kill(self.group)

    def reboot(self) -> None:
        """Restart it in good order, and wait until it is ready."""
        boot_id = self._boot_id()
        self.exec(["systemctl", "reboot"], check=True)
        self._wait(
            POWER_OFF_SECONDS + BOOT_SECONDS,
            "does not come up again",
            lambda: self._boot_id() not in (None, boot_id) and self._is_ready(),
        )

    def entering(self, argv: Sequence[str]) -> list[str]:
        """Return the command that runs `argv` as root in the host from here, independent of its network."""
        leader = self._leader()
        if leader is None:
            raise LabError(f"{self.name} is off; start it")
        spaces = ["--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--root", "--wd"]
        return ["nsenter", f"--target={leader}", *spaces, "--", *argv]

    def exec(
        self, argv: Sequence[str], *, stdin: str = "", check: bool = False, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run a command in the host as root.

        Raises LabError when the host is off, the command takes longer than `seconds` or, with `check`, fails.
        """
        try:
            completed = subprocess.run(
                self.entering(argv),
                env=ENVIRONMENT,
                input=stdin,
                capture_output=True,
                text=True,
                timeout=seconds,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise LabError(f"{self.name}: {argv[0]} did not end within {seconds:.0f} s") from error
        if check and completed.returncode:
            raise LabError(
                f"{self.name}: {argv[0]} failed with {completed.returncode}\n{last_lines(completed.stderr)}"
            )
        return completed

    def _is_ready(self) -> bool:
        if not self._greets():
            return False
        with contextlib.suppress(LabError):
            return self.exec(["systemctl", "is-system-running"]).stdout.strip() in ("running", "degraded")
        return False

    def _greets(self) -> bool:
        """Return whether its sshd answers this machine."""
        try:
            with socket.create_connection((self.address, 22), timeout=1) as connection:
                return connection.recv(4) == b"SSH-"
        except OSError:
            return False

    def _boot_id(self) -> str | None:
        with contextlib.suppress(LabError):
            return self.exec(["cat", "/proc/sys/kernel/random/boot_id"]).stdout.strip() or None
        return None

    def _wait(self, seconds: float, failure: str, reached: Callable[[], bool]) -> None:
        def reached_or_dead() -> bool:
            if reached():
                return True
            if not self.running and not reached():  # it may have got there and ended since
                raise self._failure(failure)
            return False

        Wait(self.name, seconds, failure=lambda _: self._failure(failure)).until(reached_or_dead)

    def _failure(self, problem: str) -> LabError:
        lines = last_lines(self.console.read_text(encoding="utf-8", errors="replace"))
        return LabError(f"{self.name} {problem}; its console said last:\n{lines}")

    def _leader(self) -> int | None:
        """Return the id, on this machine, of the host's process 1; None if it does not run."""
        for process in cgroups.processes(self.group):
            with contextlib.suppress(OSError):
                numbers = _numbers(process)
                if len(numbers) == 2 and numbers[1] == "1":
                    return process
        return None


def _numbers(process: int) -> list[str]:
    """Return a process's ids, from this machine's namespace inwards."""
    status = Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace")
    fields = dict(line.split(":", 1) for line in status.splitlines())
    return fields["NSpid"].split()


def _escaped(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace(":", "\\:")
