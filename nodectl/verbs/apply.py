"""`nodectl apply`: converges a node to the manifest on standard input."""

import json
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from nodectl.common import steps
from nodectl.common.errors import BadInputError
from nodectl.common.files import write_atomically
from nodectl.common.layout import Layout
from nodectl.common.lock import locked
from nodectl.common.waiting import Wait
from nodectl.contract import codec, documents
from nodectl.contract.manifest import Manifest
from nodectl.runtime import cache, garbage_collection
from nodectl.services import changes, interface, render, supervision
from nodectl.services.launch_files import LaunchFiles
from nodectl.services.port_conflicts import Need
from nodectl.supervisors import converge, identity, launch
from nodectl.supervisors.launch import Launch
from nodectl.supervisors.supervisor import State, Supervisor
from nodectl.verbs import options
from nodectl.verbs.status import is_ready


def main(argv: Sequence[str]) -> int:
    """Start, restart and remove just what differs from the manifest on standard input."""
    layout = Layout.at(options.parser("apply", main.__doc__).parse_args(argv).root)
    manifest = documents.manifest(sys.stdin.read())
    with locked(layout):
        result = apply(manifest, layout, supervision.supervisor(layout))
        supervision.tidy(layout)
    garbage_collection.record(layout, cache.environment(manifest.runtime.environment))
    for name in garbage_collection.collect():
        steps.say(f"removed the environment {name}, which no node uses any more")
    print(json.dumps(result))
    return 0


def apply(manifest: Manifest, layout: Layout, supervisor: Supervisor) -> dict[str, list[str]]:
    """Converge the node; return the names of the services `started`, `restarted`, `removed`, `unchanged`.

    Services that others can stand in for change in their turn (`nodectl.rollout`); nothing else waits for
    readiness, since no node's apply may wait for another's. A service is stopped before its launch file
    changes: one that runs was started from the file that is there, whenever nodectl was killed. The headless
    ranks of an engine are the exception: they restart with its rank 0, whose file changes last.
    """
    desired = render.launches(manifest, layout)
    listeners = [listener for service in manifest.services.values() for listener in service.listens]
    interface.check_here(listener.endpoint[0] for listener in listeners)
    python = cache.python(manifest.runtime.environment)
    if not python.exists():
        raise BadInputError(f"runtime: {python} is not installed; run `nodectl install` first")
    supervision.prepare(layout)
    supervision.guard(layout, manifest.firewall)
    supervision.watch(layout, wanted=manifest.watch is not None)
    existing = launch.read_all(layout)
    if supervisor.pid() is None:
        from nodectl.supervisors import orphans  # noqa: PLC0415 - what it looks with takes long to load

        orphans.end_orphans(layout, existing)
    states = supervisor.states()
    needs = _about_to_listen(manifest, states, desired, existing)
    supervision.check_ports(layout, needs, manifest.runtime.environment)
    reread = _reread(states, desired, existing, layout)
    plan = changes.plan(manifest, desired, {**existing, **{name: desired[name] for name in reread}}, states)
    files = LaunchFiles(layout, supervisor, python, existing)
    converge.stop(supervisor, plan.at_once & states.keys(), existing)
    write_atomically(layout.manifest, codec.written(manifest, indent=1) + "\n")
    current = {name: existing[name] for name in (*plan.in_turn, *plan.last)}
    pid = files.become({**desired, **current})
    identity.record(layout, manifest.identity, pid)
    started = converge.start_idle(supervisor)
    if plan.in_turn:
        _await([name for name in started if not desired[name].after], manifest)
        restarts = {name: partial(files.restart, name, desired[name]) for name in plan.in_turn}
        _change_in_turn(manifest, supervisor, restarts)
    if plan.last:
        converge.stop(supervisor, plan.last, existing)
        files.become(desired)
    started |= {*plan.in_turn, *plan.staged}
    active = {name for name, state in states.items() if not state.idle}
    return {
        "started": sorted(started - active),
        "restarted": sorted(started & active),
        "removed": sorted(states.keys() - desired.keys()),
        "unchanged": sorted(desired.keys() - started),
    }


def _about_to_listen(
    manifest: Manifest,
    states: Mapping[str, State],
    desired: Mapping[str, Launch],
    existing: Mapping[str, Launch],
) -> list[Need]:
    """Return where the services that do not run, or are to run otherwise, are going to listen."""
    return [
        Need(name, listener.key, *listener.endpoint)
        for name, service in manifest.services.items()
        if name not in states or states[name].pid is None or existing.get(name) != desired[name]
        for listener in service.listens
    ]


def _change_in_turn(
    manifest: Manifest, supervisor: Supervisor, restarts: Mapping[str, Callable[[], None]]
) -> None:
    from nodectl.rollout.rolling import RollingChanges  # noqa: PLC0415 - its clients take as long to load as all else

    assert manifest.rollout  # noqa: S101 - without it nothing changes in turn
    turns = RollingChanges(manifest, manifest.rollout, supervisor)
    for name, restart in restarts.items():
        turns.change(name, restart)


def _reread(
    running: Mapping[str, State],
    desired: Mapping[str, Launch],
    existing: Mapping[str, Launch],
    layout: Layout,
) -> set[str]:
    """Tell services to read their files where nothing else of them changed; return which.

    Only then are their launch files written: what a nodectl that is killed in between left is done again.
    """
    reread = set()
    for name in running.keys() & existing.keys() & desired.keys():
        service_launch, state = desired[name], running[name]
        if state.pid is not None and not state.failing and launch.reloads(existing[name], service_launch):
            steps.say(f"{name} reads its changed files")
            launch.write_files(service_launch, layout, name)
            os.kill(state.pid, signal.Signals[f"SIG{service_launch.reload}"])
            reread.add(name)
    return reread


def _await(stores: Sequence[str], manifest: Manifest) -> None:
    """Wait for etcd and NATS to be back before anything that needs them is changed, each for its time."""
    for name in stores:
        ready = manifest.services[name].ready
        Wait(name, ready.seconds).holds(partial(is_ready, ready))
