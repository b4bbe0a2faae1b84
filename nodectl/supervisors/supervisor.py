"""The interface of a node's supervisor, which keeps its services running."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from nodectl.supervisors.launch import Launch

KILL_SECONDS: Final = 15.0
"""Seconds that the end may take after SIGKILL: a process that holds a GPU frees its memory first."""


@dataclass(frozen=True)
class Unit:
    """A service as its supervisor sees it: a command, and how long it may take to stop.

    What is `dependent` waits for other services, of this node or another: a supervisor that ends with its
    machine stops it before those that are not.
    """

    command: tuple[str, ...]
    stop_seconds: int
    dependent: bool = False
    contained: bool = False
    """Whether the command runs a container, which keeps the service apart instead of the supervisor."""


@dataclass(frozen=True)
class State:
    """The state of a service's process. `pid` and `uptime` (seconds) are None while it has no process.

    `name` is one of running, starting, backoff, stopping, stopped, fatal. `restarts` counts the supervisor's
    own since nodectl started it.
    """

    name: str
    pid: int | None = None
    uptime: int | None = None
    restarts: int = 0

    @property
    def idle(self) -> bool:
        """Return whether it has no process, and gets none without being asked."""
        return self.name in ("stopped", "fatal")

    @property
    def failing(self) -> bool:
        """Return whether it waits for its next try after starts that failed."""
        return self.name == "backoff"


class Supervisor(Protocol):
    """Keeps services running, whatever they exit with, and signals their main processes alone."""

    def pid(self) -> int | None:
        """Return the supervisor's process; None when it does not run."""

    def states(self) -> Mapping[str, State]:
        """Return the state of every service that is loaded; none when the supervisor does not run."""

    def stop(self, services: Collection[str]) -> None:
        """Stop loaded services, side by side: SIGTERM, and SIGKILL to what is left after their stop time.

        Returns when they have ended; `TimedOutError` when they cannot be ended at all.
        """

    def load(self, units: Mapping[str, Unit], python: Path) -> int:
        """Make `units` all that is loaded, starting the supervisor with `python` when it does not run.

        Services that left are stopped, none is started. Returns the supervisor's process.
        """

    def start(self, services: Collection[str]) -> None:
        """Start loaded services that do not run; returns before they are ready."""

    def shut_down(self, launches: Mapping[str, Launch]) -> None:
        """Stop all services, started by `launches`; nothing of the node is left with the supervisor."""

    def logged(self) -> Collection[str]:
        """Return the services that have a log."""

    def log_command(self, service: str, *, lines: int, follow: bool) -> Sequence[str]:
        """Return the command that prints a service's last `lines` lines, and those that come to `follow`."""
