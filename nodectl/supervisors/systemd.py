"""Keeps a host's services running as units of its systemd, one a service, which start at boot.

The unit files are the truth: whatever was interrupted, what lies there is what is
loaded, stopped or removed next time.
"""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

from nodectl.common.errors import NodectlError, TimedOutError
from nodectl.common.files import read_if_there, write_atomically
from nodectl.common.layout import CODE, MARKER, Layout
from nodectl.common.waiting import Wait
from nodectl.supervisors import converge, service_user, unitfile
from nodectl.supervisors.launch import Launch
from nodectl.supervisors.supervisor import KILL_SECONDS, State, Unit

_CALL_SECONDS: Final = 60.0

_START_SECONDS: Final = 5.0
"""Seconds that a start may look as if nobody had asked for it."""

_PROPERTIES: Final = (
    "Id",
    "LoadState",
    "ActiveState",
    "SubState",
    "MainPID",
    "ExecMainStartTimestampMonotonic",
    "NRestarts",
)

_STOP_SECONDS: Final = re.compile(r"^TimeoutStopSec=(\d+)$", re.MULTILINE)

_NAMES: Final = {
    "active": "running",
    "reloading": "running",
    "activating": "starting",
    "deactivating": "stopping",
    "failed": "fatal",
}
"""systemd's state -> that of `nodectl.supervisors.supervisor.State`; any other: the unit does not run."""


class Systemd:
    """The `Supervisor` of one node."""

    def __init__(self, layout: Layout) -> None:
        environment = {
            MARKER: str(layout.root),
            "HOME": str(layout.home),
            "PYTHONPATH": str(CODE),
            "PYTHONUNBUFFERED": "1",
        }
        self._owner = unitfile.Owner(
            stack=layout.root.parent.name,
            node=layout.root.name,
            root=layout.root,
            user=service_user.NAME,
            writable=(layout.data, layout.home),
            environment=environment,
            prelude=_device_commands(),
            after=[unitfile.CACHE_UNIT] if (unitfile.FOLDER / unitfile.CACHE_UNIT).exists() else [],
        )

    def pid(self) -> int:
        """Return systemd's process: it always runs."""
        return 1

    def states(self) -> dict[str, State]:
        units = [self._owner.unit(service) for service in self._installed()]
        output = systemctl(
            "show", f"--property={','.join(_PROPERTIES)}", "--", *units, f"{self._owner.prefix}*.service"
        )
        return states(output, self._owner, time.clock_gettime(time.CLOCK_MONOTONIC))

    def stop(self, services: Collection[str]) -> None:
        units = self._units(services)
        limit = max(map(self._stop_seconds, services), default=0) + KILL_SECONDS
        try:
            systemctl("stop", "--", *units, seconds=limit)
        except TimedOutError:
            raise TimedOutError(f"{', '.join(sorted(services))}: still there after SIGKILL") from None

    def load(self, units: Mapping[str, Unit], python: Path) -> int:  # noqa: ARG002 - systemd needs none
        self._discard(self.states().keys() - units.keys())
        texts = unitfile.texts(self._owner, units)
        differing = {name for name, text in texts.items() if read_if_there(self._file(name)) != text}
        for name in differing:
            write_atomically(self._file(name), texts[name])
        disabled = {name for name in units if not os.path.lexists(self._link(name))}
        if disabled:
            systemctl("--no-reload", "--quiet", "enable", "--", *self._units(disabled))
        if differing or disabled:
            systemctl("daemon-reload")
        return self.pid()

    def start(self, services: Collection[str]) -> None:
        # no waiting for the end: a unit may come after network-online.target, which can take minutes to reach
        systemctl("start", "--no-block", "--", *self._units(services))
        wait = Wait("starts", _START_SECONDS, interval=0.05)
        wait.holds(lambda: not any(self.states()[name].idle for name in services))

    def shut_down(self, launches: Mapping[str, Launch]) -> None:
        states = self.states()
        converge.stop(self, states.keys(), launches)
        self._discard(states.keys())
        for draft in unitfile.FOLDER.glob(f"{self._owner.prefix}*.draft"):
            draft.unlink()

    def logged(self) -> set[str]:
        return self._installed()

    def log_command(self, service: str, *, lines: int, follow: bool) -> Sequence[str]:
        command = [
            "journalctl",
            "--quiet",
            "--no-pager",
            "--output=cat",
            f"--unit={self._owner.unit(service)}",
        ]
        return [*command, f"--lines={lines}", *(["--follow"] if follow else [])]

    def _installed(self) -> set[str]:
        """Return the services that have a unit file."""
        names = (self._owner.service(path.name) for path in unitfile.unit_files())
        return {name for name in names if name is not None}

    def _discard(self, services: Collection[str]) -> None:
        """Stop units and leave nothing of them, whatever an earlier try left."""
        if not services:
            return
        self.stop(services)
        units = self._units(services)
        systemctl("--no-reload", "--quiet", "disable", "--", *units, tolerant=True)
        for service in services:
            self._link(service).unlink(missing_ok=True)
            self._file(service).unlink(missing_ok=True)
        systemctl("reset-failed", "--", *units, tolerant=True)
        systemctl("daemon-reload")

    def _stop_seconds(self, service: str) -> int:
        setting = _STOP_SECONDS.search(read_if_there(self._file(service)) or "")
        return int(setting[1]) if setting else 0

    def _units(self, services: Iterable[str]) -> list[str]:
        return sorted(map(self._owner.unit, services))

    def _file(self, service: str) -> Path:
        return unitfile.FOLDER / self._owner.unit(service)

    def _link(self, service: str) -> Path:
        """Return what has the unit started at boot."""
        return unitfile.FOLDER / "multi-user.target.wants" / self._owner.unit(service)


def states(output: str, owner: unitfile.Owner, now: float) -> dict[str, State]:
    """Return the states of a node's services from what `systemctl show` printed at `now`, seconds since boot.

    A unit that waits for its next automatic start counts as failing, whatever systemd's release calls it.
    """
    by_service = {}
    for block in output.split("\n\n"):
        properties = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        service = owner.service(properties.get("Id", ""))
        absent = (properties.get("LoadState"), properties.get("ActiveState")) == ("not-found", "inactive")
        if service is not None and not absent:
            by_service[service] = _state(properties, now)
    return by_service


def _state(properties: Mapping[str, str], now: float) -> State:
    is_waiting = "auto-restart" in properties["SubState"]
    name = "backoff" if is_waiting else _NAMES.get(properties["ActiveState"], "stopped")
    pid = int(properties["MainPID"])
    start = int(properties["ExecMainStartTimestampMonotonic"]) / 1e6
    return State(
        name=name,
        pid=pid or None,
        uptime=max(int(now - start), 0) if pid else None,
        restarts=int(properties["NRestarts"]),
    )


def _device_commands() -> list[list[str]]:
    """Return what makes the device files of NVIDIA's GPUs: programs of the driver do that with root's rights,

    which services do not have, and after a boot nothing else need have done it.
    """
    commands = (["nvidia-smi", "--list-gpus"], ["nvidia-modprobe", "-u", "-c=0"])
    return [[path, *arguments] for program, *arguments in commands if (path := shutil.which(program))]


def systemctl(*arguments: str, seconds: float = _CALL_SECONDS, tolerant: bool = False) -> str:
    """Run systemctl; return what it printed. Where it fails, so does this, unless it is `tolerant`."""
    command = ["systemctl", *arguments]
    try:
        completed = subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=False)
    except FileNotFoundError as error:
        raise NodectlError("this host has no systemctl; hosts need systemd") from error
    except subprocess.TimeoutExpired as error:
        raise TimedOutError(f"systemctl {arguments[0]} took more than {seconds:.0f} s") from error
    if completed.returncode and not tolerant:
        raise NodectlError(
            f"systemctl {arguments[0]} failed with {completed.returncode}: {completed.stderr.strip()}"
        )
    return completed.stdout
