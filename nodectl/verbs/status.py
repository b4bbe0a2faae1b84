"""`nodectl status`: what every service of a node does."""

import json
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Final

from nodectl.common.layout import Layout
from nodectl.contract import documents
from nodectl.contract.manifest import Manifest, Ready
from nodectl.services import excerpt, health, supervision
from nodectl.supervisors.supervisor import State
from nodectl.verbs.options import parser as node_parser

_ABSENT: Final = State("stopped")


@dataclass(frozen=True)
class ServiceStatus:
    """One service: the supervisor's word for it, and what was seen of it. `uptime` is in seconds.

    `trouble` says why a service that runs is not ready, where it says so itself: an alarm of etcd.
    """

    state: str
    pid: int | None
    uptime: int | None
    ready: bool
    restarts: int
    trouble: str | None = None


def main(argv: Sequence[str]) -> int:
    """Print what every service does. Exit code 0: all are ready."""
    parser = node_parser("status", main.__doc__)
    parser.add_argument("--human", action="store_true", help="print a table instead of JSON")
    parser.add_argument(
        "--why", action="store_true", help="say on standard error what logs say of the others"
    )
    options = parser.parse_args(argv)
    layout = Layout.at(options.root)
    manifest = documents.applied(layout)
    supervisor = supervision.supervisor(layout)
    services = status(manifest, supervisor.states())
    if options.why:
        failing = {name for name, entry in services.items() if not entry.ready}
        for name in sorted(failing.intersection(supervisor.logged())):
            print(excerpt.last_words(supervisor, name), file=sys.stderr)
    if options.human:
        print(_table(services))
    else:
        print(json.dumps({"node": manifest.node, "services": {n: asdict(s) for n, s in services.items()}}))
    return 0 if all(service.ready for service in services.values()) else 1


def status(manifest: Manifest, states: Mapping[str, State]) -> dict[str, ServiceStatus]:
    """Return the status of each service of the manifest, all probed at the same time."""

    def probe(name: str) -> ServiceStatus:
        state = states.get(name, _ABSENT)
        check = manifest.services[name].ready
        runs = state.pid is not None
        trouble = health.trouble(check.http) if runs and check.http is not None else None
        ready = runs and (is_ready(check) if check.http is None else trouble is None)
        return ServiceStatus(state.name, state.pid, state.uptime, ready, state.restarts, trouble)

    names = sorted(manifest.services)
    with ThreadPoolExecutor(max_workers=len(names) or 1) as pool:
        return dict(zip(names, pool.map(probe, names), strict=True))


def is_ready(ready: Ready) -> bool:
    """Return whether a service shows that it is ready; the supervisor knows whether its process lives."""
    if ready.http is not None:
        return health.answers(ready.http)
    return ready.endpoint is None or health.listens(ready.endpoint)


def _table(services: Mapping[str, ServiceStatus]) -> str:
    width = max((len(name) for name in services), default=0)
    return "\n".join(
        f"{name:<{width}}  {'ready' if entry.ready else 'not ready':<9}  {entry.state:<8}"
        f"  pid {entry.pid or '-':<8}  up {_span(entry.uptime):<8}  restarts {entry.restarts}"
        f"{f'  {entry.trouble}' if entry.trouble else ''}"
        for name, entry in services.items()
    )


def _span(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
