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
    wanted: Mapping[str, Launch],
    known: Mapping[str, Launch],
    states: Mapping[str, State],
) -> Changes:
    """Return the changes from what the launch files say (`known`) to what they shall say (`wanted`)."""
    changed = {name for name, launch in wanted.items() if known.get(name) != launch}
    failing = {name for name, state in states.items() if state.failing}
    runs = {name for name, state in states.items() if not (state.idle or state.failing)}
    covered = manifest.rollout.services if manifest.rollout else {}
    differing = changed & runs & known.keys()
    serving = differing & covered.keys()
    staged = {name for name in differing if _follows(wanted[name], known[name])}
    leaving = states.keys() - wanted.keys()
    last = {
        name
        for name in leaving & known.keys()
        if serving and Path(known[name].argv[0]).name in stores.PROGRAMS
    }
    return Changes(
        at_once=frozenset((changed | failing | leaving) - serving - staged - last),
        staged=frozenset(staged),
        in_turn=tuple(sorted(serving, key=lambda name: (covered[name].role != "frontend", name))),
        last=frozenset(last),
    )


def _follows(wanted: Launch, known: Launch) -> bool:
    """Return whether a headless rank stays one of the same engine, and is stopped as before."""
    new, old = wanted.gang, known.gang
    if not (new and old and new.rank) or wanted.stop_seconds != known.stop_seconds:
        return False
    return (new.id, new.rank) == (old.id, old.rank)
