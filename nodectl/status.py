"""`nodectl status`: what every service of a node does."""

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from typing import Final

from pydantic import ValidationError

from nodectl import health, supervision
from nodectl.errors import NodectlError
from nodectl.files import read_if_there
from nodectl.layout import Layout
from nodectl.manifest import Manifest, Ready
from nodectl.options import parser as node_parser
from nodectl.supervisor import State

_ABSENT: Final = State("stopped")


@dataclass(frozen=True)
class ServiceStatus:
    """One service: the supervisor's word for it, and what was seen of it. `uptime` is in seconds."""

    state: str
    pid: int | None
    uptime: int | None
    ready: bool
    restarts: int


def main(argv: Sequence[str]) -> int:
    """Print what every service does. Exit code 0: all are ready."""
    parser = node_parser("status", main.__doc__)
    parser.add_argument("--human", action="store_true", help="print a table instead of JSON")
    options = parser.parse_args(argv)
    layout = Layout.at(options.root)
    found = read_if_there(layout.manifest)
    if found is None:
        raise NodectlError(f"{layout.root}: no manifest was applied here")
    try:
        manifest = Manifest.model_validate_json(found)
    except ValidationError:
        raise NodectlError(
            f"{layout.manifest}: of another release of this project; run `pulumi up`"
        ) from None
    services = status(manifest, supervision.supervisor(layout).states())
    if options.human:
        print(_table(services))
    else:
        print(json.dumps({"node": manifest.node, "services": {n: asdict(s) for n, s in services.items()}}))
    return 0 if all(service.ready for service in services.values()) else 1


def status(manifest: Manifest, states: Mapping[str, State]) -> dict[str, ServiceStatus]:
    """Return the status of each service of the manifest, all probed at the same time."""

    def one(name: str) -> ServiceStatus:
        state = states.get(name, _ABSENT)
        ready = state.pid is not None and is_ready(manifest.services[name].ready)
        return ServiceStatus(state.name, state.pid, state.uptime, ready, state.restarts)

    names = sorted(manifest.services)
    with ThreadPoolExecutor(max_workers=len(names) or 1) as pool:
        return dict(zip(names, pool.map(one, names), strict=True))


def is_ready(ready: Ready) -> bool:
    """Return whether a service shows that it is ready; the supervisor knows whether its process lives."""
    if ready.http is not None:
        return health.answers(ready.http)
    return ready.endpoint is None or health.listens(ready.endpoint)


def _table(services: Mapping[str, ServiceStatus]) -> str:
    width = max((len(name) for name in services), default=0)
    return "\n".join(
        f"{name:<{width}}  {'ready' if one.ready else 'not ready':<9}  {one.state:<8}"
        f"  pid {one.pid or '-':<8}  up {_span(one.uptime):<8}  restarts {one.restarts}"
        for name, one in services.items()
    )


def _span(seconds: int | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}"
