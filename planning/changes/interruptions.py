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


def services(topology: Topology) -> Services:
    """Return every service of a topology."""
    return {
        (node["name"], name): digests
        for node in topology["nodes"]
        for name, digests in node["services"].items()
    }


def interruptions(before: Topology, after: Topology) -> Iterator[str]:
    """Say for each role how its members change, and which requests nobody could take meanwhile."""
    old, new = _by_role(before), _by_role(after)
    old_workers, new_workers = old.keys() - _NO_WORKERS, new.keys() - _NO_WORKERS
    if old_workers and not old_workers & new_workers:
        yield "interrupts serving: the pattern changes, every worker is replaced"
    for role in sorted(old.keys() & new.keys()):
        yield from _of_role(role, old[role], new[role], after.get("maxUnavailable", 1))


def _of_role(role: str, old: Services, new: Services, max_unavailable: int) -> Iterator[str]:
    common = old.keys() & new.keys()
    restarts = [key for key in common if old[key] != new[key]]
    member = role if role in _NO_WORKERS else f"{role} worker"
    if not common:
        yield f"interrupts serving: {'the only' if len(old) == 1 else 'every'} {member} moves"
    elif len(common) == len(restarts) == 1:
        yield f"interrupts serving: the only {member} restarts"
    elif len(common) == len(restarts) <= max_unavailable:
        count = counted(len(restarts), member)
        yield f"interrupts serving: all {count} may restart at once (rollout.maxUnavailable)"
    elif len(restarts) > 1:
        pace = "one after another" if max_unavailable == 1 else f"at most {max_unavailable} at once"
        yield f"{counted(len(restarts), member)} restart {pace}"


def _by_role(topology: Topology) -> dict[str, Services]:
    """Return the services of each role that stand for themselves: headless ranks go with their engine."""
    roles, headless = {}, set()
    for engine in topology["engines"]:
        for number, rank in enumerate(engine["ranks"]):
            key = (rank["node"], service_name(engine["role"], engine["index"], number))
            roles[key] = engine["role"]
            headless |= {key} if number else set()
    by_role: dict[str, Services] = {}
    for key, digests in services(topology).items():
        role = roles.get(key, key[1])
        if key not in headless and role not in _STORES:
            by_role.setdefault(role, {})[key] = digests
    return by_role
