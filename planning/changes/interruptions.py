"""Effects of a change on those who use the deployment: restarts in turn, and interruptions."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from planning.text import counted
from planning.values import service_name

Topology = Mapping[str, Any]
Services = dict[tuple[str, str], Mapping[str, str]]
"""(node, service) -> digests of what it was started with."""

_NO_WORKERS: Final = frozenset({"frontend", "balancer"})
_STORES: Final = frozenset({"nats", "etcd"})


def services(of: Topology) -> Services:
    """Return every service of a topology."""
    return {
        (node["name"], name): digests for node in of["nodes"] for name, digests in node["services"].items()
    }


def interruptions(before: Topology, after: Topology) -> Iterator[str]:
    """Say for each role how its members change, and which requests nobody could take meanwhile."""
    old, new = _by_role(before), _by_role(after)
    worked, works = old.keys() - _NO_WORKERS, new.keys() - _NO_WORKERS
    if worked and not worked & works:
        yield "interrupts serving: the pattern changes, every worker is replaced"
    for role in sorted(old.keys() & new.keys()):
        yield from _of_role(role, old[role], new[role], after.get("maxUnavailable", 1))


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


def _by_role(of: Topology) -> dict[str, Services]:
    """Return the services of each role that stand for themselves: headless ranks go with their engine."""
    roles, headless = {}, set()
    for engine in of["engines"]:
        for number, rank in enumerate(engine["ranks"]):
            key = (rank["node"], service_name(engine["role"], engine["index"], number))
            roles[key] = engine["role"]
            headless |= {key} if number else set()
    found: dict[str, Services] = {}
    for key, digests in services(of).items():
        role = roles.get(key, key[1])
        if key not in headless and role not in _STORES:
            found.setdefault(role, {})[key] = digests
    return found
