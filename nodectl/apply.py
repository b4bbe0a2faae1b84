"""`nodectl apply`: converges a node to the manifest on standard input."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Final

from pydantic import TypeAdapter

from nodectl import (
    cache,
    changes,
    collect,
    converge,
    identity,
    launch,
    options,
    reading,
    render,
    supervision,
)
from nodectl.errors import BadInputError
from nodectl.files import write_atomically
from nodectl.launch import Launch
from nodectl.launchfiles import LaunchFiles
from nodectl.layout import Layout
from nodectl.lock import locked
from nodectl.manifest import SCHEMA, Manifest
from nodectl.status import is_ready
from nodectl.supervisor import State, Supervisor

_POLL: Final = 0.1


def main(argv: Sequence[str]) -> int:
    """Start, restart and remove just what differs from the manifest on standard input."""
    layout = Layout.at(options.parser("apply", main.__doc__).parse_args(argv).root)
    manifest = read_manifest(sys.stdin.read())
    with locked(layout):
        done = apply(manifest, layout, supervision.supervisor(layout))
        supervision.tidy(layout)
    collect.record(layout, cache.environment(manifest.runtime.environment))
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

    Services that others can stand in for change in their turn (`nodectl.rollout`); nothing else waits for
    readiness, since no node's apply may wait for another's. A service is stopped before its launch file
    changes: one that runs was started from the file that is there, whenever nodectl was killed. The headless
    ranks of an engine are the exception: they restart with its rank 0, whose file changes last.
    """
    wanted = render.launches(manifest, layout)
    python = cache.python(manifest.runtime.environment)
    if not python.exists():
        raise BadInputError(f"runtime: {python} is not installed; run `nodectl install` first")
    supervision.prepare(layout)
    wall = manifest.firewall
    supervision.guard(layout, None if wall is None else wall.model_dump_json(indent=1))
    supervision.watch(layout, wanted=manifest.watch is not None)
    known = launch.read_all(layout)
    if supervisor.pid() is None:
        from nodectl import processes  # noqa: PLC0415 - what it looks with takes long to load

        processes.end_orphans(layout, known)
    before = supervisor.states()
    supervision.check_ports(layout, _about_to_listen(manifest, before), manifest.runtime.environment)
    reread = _reread(before, wanted, known, layout)
    plan = changes.plan(manifest, wanted, {**known, **{name: wanted[name] for name in reread}}, before)
    files = LaunchFiles(layout, supervisor, python, known)
    converge.stop(supervisor, plan.at_once & before.keys(), known)
    write_atomically(layout.manifest, manifest.model_dump_json(indent=1) + "\n")
    kept = {name: known[name] for name in (*plan.in_turn, *plan.last)}
    pid = files.become({**wanted, **kept})
    identity.record(layout, manifest.identity, pid)
    begun = converge.start_idle(supervisor)
    if plan.in_turn:
        _await([name for name in begun if not wanted[name].after], manifest)
        restarts = {name: partial(files.restart, name, wanted[name]) for name in plan.in_turn}
        _change_in_turn(manifest, supervisor, restarts)
    if plan.last:
        converge.stop(supervisor, plan.last, known)
        files.become(wanted)
    begun |= {*plan.in_turn, *plan.staged}
    ran = {name for name, state in before.items() if not state.idle}
    return {
        "started": sorted(begun - ran),
        "restarted": sorted(begun & ran),
        "removed": sorted(before.keys() - wanted.keys()),
        "unchanged": sorted(wanted.keys() - begun),
    }


def _about_to_listen(manifest: Manifest, states: Mapping[str, State]) -> dict[str, tuple[str, int]]:
    """Return where the services that do not run now are going to listen."""
    idle = {name for name in manifest.services if name not in states or states[name].pid is None}
    return {name: at for name in idle if (at := manifest.services[name].ready.endpoint)}


def _change_in_turn(
    manifest: Manifest, supervisor: Supervisor, restarts: Mapping[str, Callable[[], None]]
) -> None:
    from nodectl.rollout.turns import Turns  # noqa: PLC0415 - its clients take as long to load as all else

    assert manifest.rollout  # noqa: S101 - without it nothing changes in turn
    turns = Turns(manifest, manifest.rollout, supervisor)
    for name, restart in restarts.items():
        turns.change(name, restart)


def _reread(
    running: Mapping[str, State], wanted: Mapping[str, Launch], known: Mapping[str, Launch], layout: Layout
) -> set[str]:
    """Have services read their files where nothing else of them changed; return which.

    Only then are their launch files written: what a nodectl that is killed in between left is done again.
    """
    reread = set()
    for name in running.keys() & known.keys() & wanted.keys():
        one, state = wanted[name], running[name]
        if state.pid is not None and not state.failing and launch.reloads(known[name], one):
            converge.say(f"{name} reads its changed files")
            launch.write_files(one, layout, name)
            os.kill(state.pid, signal.Signals[f"SIG{one.reload}"])
            reread.add(name)
    return reread


def _await(stores: Sequence[str], manifest: Manifest) -> None:
    """Wait for etcd and NATS to be back before anything that needs them is changed, each for its time."""
    for name in stores:
        ready = manifest.services[name].ready
        deadline = time.monotonic() + ready.seconds
        while not is_ready(ready) and time.monotonic() < deadline:
            time.sleep(_POLL)
