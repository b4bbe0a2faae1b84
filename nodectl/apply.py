"""`nodectl apply`: converges a node to the manifest on standard input."""

import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from pydantic import TypeAdapter

from nodectl import (
    collect,
    converge,
    identity,
    install,
    launch,
    options,
    processes,
    reading,
    render,
    supervision,
)
from nodectl.errors import BadInputError
from nodectl.files import write_atomically
from nodectl.launch import Launch
from nodectl.layout import Layout
from nodectl.lock import locked
from nodectl.manifest import SCHEMA, Manifest
from nodectl.supervisor import Supervisor, Unit


def main(argv: Sequence[str]) -> int:
    """Start, restart and remove just what differs from the manifest on standard input."""
    layout = Layout.at(options.parser("apply", main.__doc__).parse_args(argv).root)
    manifest = read_manifest(sys.stdin.read())
    with locked(layout):
        done = apply(manifest, layout, supervision.supervisor(layout))
        supervision.tidy(layout)
    collect.record(layout, install.environment_path(manifest.runtime.environment))
    for name in collect.collect():
        converge.say(f"removed the environment {name}, which no node uses any more")
    print(json.dumps(done))
    return 0


def read_manifest(text: str) -> Manifest:
    """Return the manifest in `text`; what is wrong with it is said without repeating it."""
    document = reading.document(text, "a manifest")
    found = document.get("schema") if isinstance(document, dict) else None
    if isinstance(found, int) and found != SCHEMA:
        raise BadInputError(
            f"schema: expected {SCHEMA}, got {found}; use the same release of this project here and there"
        )
    return reading.checked(TypeAdapter(Manifest), document, "a manifest")


def apply(manifest: Manifest, layout: Layout, supervisor: Supervisor) -> dict[str, list[str]]:
    """Converge the node; return the names of the services `started`, `restarted`, `removed`, `unchanged`.

    Nothing waits for readiness, since no node's apply may wait for another's. A service is stopped before its
    launch file changes: one that runs was started from the file that is there, whenever nodectl was killed.
    """
    wanted = render.launches(manifest, layout)
    python = install.python_path(manifest.runtime.environment)
    if not python.exists():
        raise BadInputError(f"runtime: {python} is not installed; run `nodectl install` first")
    supervision.prepare(layout)
    known = launch.read_all(layout)
    if supervisor.pid() is None:
        processes.end_orphans(layout, known)
    before = supervisor.states()
    changed = {name for name, launch in wanted.items() if known.get(name) != launch}
    failing = {name for name, state in before.items() if state.failing}
    leaving = before.keys() - wanted.keys()
    converge.stop(supervisor, before.keys() & (changed | failing | leaving), known)
    _write(layout, wanted, known)
    write_atomically(layout.manifest, manifest.model_dump_json(indent=1) + "\n")
    pid = supervisor.load({name: _unit(name, one, python) for name, one in wanted.items()}, python)
    identity.record(layout, manifest.identity, pid)
    begun = converge.start_idle(supervisor)
    ran = {name for name, state in before.items() if not state.idle}
    return {
        "started": sorted(begun - ran),
        "restarted": sorted(begun & ran),
        "removed": sorted(leaving),
        "unchanged": sorted(wanted.keys() - begun),
    }


def _write(layout: Layout, wanted: Mapping[str, Launch], known: Mapping[str, Launch]) -> None:
    """Make the launch files those of `wanted`; a service that left takes its data along."""
    for path in layout.launches.iterdir():
        if path.stem not in wanted:
            shutil.rmtree(layout.data / path.stem, ignore_errors=True)
            path.unlink()
    for name, one in wanted.items():
        if known.get(name) != one:
            write_atomically(layout.launch(name), one.text(), mode=0o640)


def _unit(name: str, launch: Launch, python: Path) -> Unit:
    wait = (str(python), "-P", "-m", "nodectl", "wait", "--root", ".", "--service", name)
    return Unit(wait, launch.stop_seconds, contained=launch.container is not None)
