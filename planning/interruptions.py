"""What a change means for those who use the deployment: who restarts in turn, and what interrupts serving."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from planning.words import counted

Topology = Mapping[str, Any]
Services = dict[tuple[str, str], Mapping[str, str]]
"""(node, service) -> digests of what it was started with."""

_NO_WORKERS: Final = frozenset({"frontend", "balancer"})


def services(of: Topology) -> Services:
    """Return every service of a topology."""
    return {
        (node["name"], name): digests for node in of["nodes"] for name, digests in node["services"].items()
    }


def interruptions(before: Topology, after: Topology) -> Iterator[str]:
    """Say for each role how its members change, and which requests nobody could take meanwhile."""
    old, new = services(before), services(after)
    worked, works = _roles(old) - _NO_WORKERS, _roles(new) - _NO_WORKERS
    if worked and not worked & works:
        yield "interrupts serving: the pattern changes, every worker is replaced"
    for role in sorted(_roles(old) & _roles(new)):
        was = {key: digests for key, digests in old.items() if _is_member(key, role)}
        become = {key: digests for key, digests in new.items() if _is_member(key, role)}
        yield from _of_role(role, was, become, after.get("maxUnavailable", 1))


def _of_role(role: str, old: Services, new: Services, at_once: int) -> Iterator[str]:
    stay = old.keys() & new.keys()
    restart = [key for key in stay if old[key] != new[key]]
    what = role if role in _NO_WORKERS else f"{role} worker"
    if not stay:
        yield f"interrupts serving: {'the only' if len(old) == 1 else 'every'} {what} moves"
    elif len(stay) == len(restart) == 1:
        yield f"interrupts serving: the only {what} restarts"
    elif len(stay) == len(restart) <= at_once:
        count = counted(len(restart), what)
        yield f"interrupts serving: all {count} may restart at once (rollout.maxUnavailable)"
    elif len(restart) > 1:
        how = "one after another" if at_once == 1 else f"at most {at_once} at once"
        yield f"{counted(len(restart), what)} restart {how}"


def _roles(found: Services) -> set[str]:
    return {_role(key) for key in found} - {"nats", "etcd"}


def _is_member(key: tuple[str, str], role: str) -> bool:
    """Return whether a service stands for itself: headless ranks go with their engine."""
    return _role(key) == role and "-rank-" not in key[1]


def _role(key: tuple[str, str]) -> str:
    return key[1].split("-")[0]
