"""The launch files of a node and what its supervisor has loaded: they change together, service by service."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from nodectl.common import isolated
from nodectl.common.files import write_atomically
from nodectl.common.layout import Layout
from nodectl.contract.runtime import MACHINE_PROGRAMS
from nodectl.runtime import container
from nodectl.supervisors import converge
from nodectl.supervisors.launch import Launch
from nodectl.supervisors.supervisor import Supervisor, Unit


class LaunchFiles:
    """The contents of the node's launch files, from before an apply to its end."""

    def __init__(
        self, layout: Layout, supervisor: Supervisor, python: Path, existing: Mapping[str, Launch]
    ) -> None:
        """`python` starts the supervisor where it does not run; `existing` is what the files say now."""
        self._layout = layout
        self._supervisor = supervisor
        self._python = python
        self._now = dict(existing)

    def become(self, desired: Mapping[str, Launch]) -> int:
        """Make the files those of `desired`, and load them; return the supervisor's process.

        A service that left takes its data along. Whatever differs must have been stopped before.
        """
        for path in self._layout.launches.iterdir():
            if path.stem not in desired:
                shutil.rmtree(self._layout.own_data(path.stem), ignore_errors=True)
                path.unlink()
        for name, launch in desired.items():
            if self._now.get(name) != launch:
                write_atomically(self._layout.launch(name), launch.text(), mode=0o640)
        self._now = dict(desired)
        return self._supervisor.load(
            {name: self._unit(name, launch) for name, launch in desired.items()}, self._python
        )

    def restart(self, name: str, desired: Launch) -> None:
        """Stop a service, change its file and start it anew."""
        self._supervisor.stop([name])
        container.remove([self._now[name].container])
        self.become({**self._now, name: desired})
        converge.start_idle(self._supervisor)

    def _unit(self, name: str, launch: Launch) -> Unit:
        """Return what the supervisor runs: it waits with the Python of the versions that it then runs."""
        program = Path(launch.argv[0])
        python_beside = self._python if program.name in MACHINE_PROGRAMS else program.parent / "python"
        python = launch.python or str(python_beside)
        wait = tuple(isolated.module(python, "nodectl", "wait", "--root", ".", "--service", name))
        is_contained = launch.container is not None
        return Unit(wait, launch.stop_seconds, dependent=bool(launch.after), contained=is_contained)
