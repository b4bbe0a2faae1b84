"""Keeps a node's services running under a supervisord of its own.

It is reached by a socket in the node's root. Both sides name it through /proc, which keeps the address
short: a socket's may have 107 bytes, and project folders lie deep. All paths in its configuration are
relative to the root, where it runs: no value needs quoting but the command's.
"""

import http.client
import os
import shlex
import socket
import subprocess
import xmlrpc.client
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import psutil
from supervisor.xmlrpc import Faults

from nodectl.common import isolated, procfs, steps, surroundings
from nodectl.common.errors import NodectlError, TimedOutError
from nodectl.common.files import read_if_there, write_atomically
from nodectl.common.layout import CODE, MARKER, Layout
from nodectl.common.waiting import Moment, NotYetError, Wait
from nodectl.supervisors import converge, orphans
from nodectl.supervisors.launch import Launch
from nodectl.supervisors.stale_sessions import end_leftovers
from nodectl.supervisors.supervisor import KILL_SECONDS, State, Unit

_CONFIGURATION: Final = "supervisord.conf"
_SOCKET: Final = "supervisord.sock"
_CALL_SECONDS: Final = 20.0
_START_SECONDS: Final = 60.0

_HEAD: Final = f"""\
[supervisord]
nodaemon = true
silent = true
logfile = supervisord.log
logfile_maxbytes = 5MB
logfile_backups = 1
pidfile = supervisord.pid

[unix_http_server]
file = /proc/self/cwd/{_SOCKET}
chmod = 0700

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

# A start that fails within startsecs is tried again 1, 2, 3 … seconds later, and never given up.
_PROGRAM: Final = """
[program:{name}]
command = {command}
autostart = false
autorestart = true
startsecs = 10
startretries = 1000000000
stopsignal = TERM
stopasgroup = false
killasgroup = true
stopwaitsecs = {stop_seconds}
redirect_stderr = true
stdout_logfile = logs/{name}.log
stdout_logfile_maxbytes = 20MB
stdout_logfile_backups = 2
"""


class _NotRunningError(NodectlError):
    """Nothing answers on the node's socket."""


class Supervisord:
    """The `Supervisor` of one node."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout

    def pid(self) -> int | None:
        try:
            with self._calls() as calls:
                return int(calls.getPID())
        except _NotRunningError:
            return None

    def states(self) -> dict[str, State]:
        try:
            with self._calls() as calls:
                return {info["name"]: self._state(info) for info in calls.getAllProcessInfo()}
        except _NotRunningError:
            return {}

    def stop(self, services: Collection[str]) -> None:
        with self._calls() as calls:
            seconds = [
                config["stopwaitsecs"] for config in calls.getAllConfigInfo() if config["name"] in services
            ]

            def all_stopped() -> bool:
                active = self._active(services)
                for name, state in active.items():
                    if state.name != "stopping":
                        _tolerating(Faults.NOT_RUNNING, calls.stopProcess, name)
                if active:
                    raise NotYetError(", ".join(active))
                return True

            limit = max(seconds, default=0) + KILL_SECONDS
            Wait("the end of services", limit, interval=0.05, failure=_still_there).until(all_stopped)
            end_leftovers(session=calls.getPID())

    def load(self, units: Mapping[str, Unit], python: Path) -> int:
        programs = [
            _PROGRAM.format(name=name, command=_command(unit), stop_seconds=unit.stop_seconds)
            for name, unit in sorted(units.items())
        ]
        write_atomically(self._layout.root / _CONFIGURATION, _HEAD + "".join(programs))
        if self.pid() is None:
            self._launch(python)
        with self._calls() as calls:
            added, changed, removed = calls.reloadConfig()[0]
            self.stop([*changed, *removed])
            for name in [*changed, *removed]:
                calls.removeProcessGroup(name)
            for name in [*changed, *added]:
                calls.addProcessGroup(name)
            return int(calls.getPID())

    def start(self, services: Collection[str]) -> None:
        with self._calls() as calls:
            for name in services:
                self._layout.started(name).unlink(missing_ok=True)
                _tolerating(Faults.ALREADY_STARTED, calls.startProcess, name)

    def shut_down(self, launches: Mapping[str, Launch]) -> None:
        try:
            converge.stop(self, self.states().keys(), launches)
            self._end()
        except NodectlError as error:
            steps.say(f"the supervisor does not stop its services: {error}")
        orphans.end_orphans(self._layout, launches)

    def logged(self) -> set[str]:
        return {path.stem for path in self._layout.logs.glob("*.log")}

    def log_command(self, service: str, *, lines: int, follow: bool) -> Sequence[str]:
        return ["tail", "-n", str(lines), *(["-F"] if follow else []), "--", str(self._layout.log(service))]

    def _end(self) -> None:
        pid = self.pid()
        if pid is None:
            return
        supervisord = psutil.Process(pid)
        with self._calls() as calls:
            calls.shutdown()
        if not orphans.ended([supervisord], KILL_SECONDS):
            raise TimedOutError(f"supervisord (process {pid}) does not end")

    def _state(self, info: Mapping[str, Any]) -> State:
        runs = info["pid"] != 0
        starts = int(read_if_there(self._layout.started(info["name"])) or 0)
        return State(
            name=info["statename"].lower(),
            pid=info["pid"] if runs else None,
            uptime=info["now"] - info["start"] if runs else None,
            restarts=max(starts - 1, 0),
        )

    def _active(self, services: Collection[str]) -> dict[str, State]:
        return {name: state for name, state in self.states().items() if name in services and not state.idle}

    def _launch(self, python: Path) -> None:
        """Start supervisord in a session of its own and wait until it answers."""
        root = self._layout.root
        inherited = surroundings.of_services(os.environ)
        variables = {MARKER: str(root), "PYTHONPATH": str(CODE), "PYTHONUNBUFFERED": "1"}
        log = root / "supervisord.err"
        with log.open("wb") as errors:
            process = subprocess.Popen(
                isolated.module(python, "supervisor.supervisord", "-c", _CONFIGURATION),
                cwd=root,
                env=inherited | variables,
                stdin=subprocess.DEVNULL,
                stdout=errors,
                stderr=errors,
                start_new_session=True,
            )

        def answers() -> bool:
            if self.pid() is not None:
                return True
            if process.poll() is not None:
                last_lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
                raise NodectlError(f"supervisord did not start: {' '.join(last_lines)}")
            return False

        message = f"supervisord does not answer after {_START_SECONDS:.0f} s: see {root}"
        Wait("supervisord", _START_SECONDS, interval=0.05, failure=lambda _: TimedOutError(message)).until(
            answers
        )

    @contextmanager
    def _calls(self) -> Iterator[Any]:
        """Yield supervisord's XML-RPC interface; what goes wrong with it is a `NodectlError`."""
        try:
            folder = os.open(self._layout.root, os.O_RDONLY | os.O_DIRECTORY)
        except FileNotFoundError as error:
            raise _NotRunningError(f"{self._layout.root}: there is no node") from error
        try:
            transport = _UnixTransport(str(procfs.opened(folder) / _SOCKET))
            with xmlrpc.client.ServerProxy("http://localhost", transport) as proxy:
                yield proxy.supervisor
        except TimeoutError as error:
            raise TimedOutError(f"{self._layout.root}: supervisord does not answer") from error
        except (FileNotFoundError, ConnectionError) as error:
            raise _NotRunningError(f"{self._layout.root}: supervisord does not run: {error}") from error
        except xmlrpc.client.Fault as fault:
            raise NodectlError(f"{self._layout.root}: supervisord refused: {fault.faultString}") from fault
        finally:
            os.close(folder)


class _UnixTransport(xmlrpc.client.Transport):
    """XML-RPC over a Unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path

    def make_connection(self, host: Any) -> http.client.HTTPConnection:  # noqa: ARG002 - there is one peer
        return _UnixConnection(self._path)


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_CALL_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def _still_there(moment: Moment) -> TimedOutError:
    return TimedOutError(f"{moment.seen}: still there after SIGKILL")


def _tolerating(fault: int, call: Callable[[str, bool], object], service: str) -> None:
    """Make a call that does not wait; the service may have got there by itself, which is `fault`."""
    try:
        call(service, False)
    except xmlrpc.client.Fault as error:
        if error.faultCode != fault:
            raise


def _command(unit: Unit) -> str:
    """Return the command as supervisord's configuration carries it: split as a shell would, % doubled."""
    words = " ".join(map(shlex.quote, unit.command)).replace("%", "%%")
    # A blank before ; or # starts a comment even within quotes: leave and enter the quotes between them.
    return words.replace(" ;", " '';").replace(" #", " ''#")
