"""The changes of an apply, from the services desired, those in launch files and those running. No effects."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nodectl.contract.manifest import Manifest
from nodectl.runtime import stores
from nodectl.supervisors.launch import Launch
from nodectl.supervisors.supervisor import State


@dataclass(frozen=True)
class Changes:
    """The changes of one node's services, beside starts of those that do not run."""

    at_once: frozenset[str]
    """Stopped first: what left, keeps failing, or changes without anybody standing in."""
    staged: frozenset[str]
    """Headless ranks that run: only their launch files change, the engine restarts with its rank 0."""
    in_turn: tuple[str, ...]
    """Changed one after another: frontends before workers."""
    last: frozenset[str]
    """Stores that leave while services are changed in their turn, which still deregister there."""


def plan(
    manifest: Manifest,
    desired: Mapping[str, Launch],
    existing: Mapping[str, Launch],
    states: Mapping[str, State],
) -> Changes:
    """Return the changes from what the launch files say (`existing`) to what they shall say (`desired`)."""
    changed = {name for name, launch in desired.items() if existing.get(name) != launch}
    failing = {name for name, state in states.items() if state.failing}
    running = {name for name, state in states.items() if not (state.idle or state.failing)}
    rollout_services = manifest.rollout.services if manifest.rollout else {}
    differing = changed & running & existing.keys()
    serving = differing & rollout_services.keys()
    staged = {name for name in differing if _follows(desired[name], existing[name])}
    leaving = states.keys() - desired.keys()
    last = {
        name
        for name in leaving & existing.keys()
        if serving and Path(existing[name].argv[0]).name in stores.PROGRAMS
    }
    return Changes(
        at_once=frozenset((changed | failing | leaving) - serving - staged - last),
        staged=frozenset(staged),
        in_turn=tuple(sorted(serving, key=lambda name: (rollout_services[name].role != "frontend", name))),
        last=frozenset(last),
    )


def _follows(desired: Launch, existing: Launch) -> bool:
    """Return whether a headless rank stays one of the same engine, and is stopped as before."""
    desired_gang, existing_gang = desired.gang, existing.gang
    if (
        not (desired_gang and existing_gang and desired_gang.rank)
        or desired.stop_seconds != existing.stop_seconds
    ):
        return False
    return (desired_gang.id, desired_gang.rank) == (existing_gang.id, existing_gang.rank)
