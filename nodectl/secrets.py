"""`nodectl secrets`: keeps the secrets on standard input as files that only the node's own user can read."""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from nodectl import converge, launch, options, reading, supervision
from nodectl.files import read_if_there, write_atomically
from nodectl.layout import Layout
from nodectl.lock import locked
from nodectl.manifest import EnvName
from nodectl.supervisor import Supervisor

_VALUES: Final = TypeAdapter(dict[EnvName, Annotated[str, Field(pattern=r"^[^\x00]+$")]])
_WHAT: Final = "a JSON object of environment names and their values"


def main(argv: Sequence[str]) -> int:
    """Make the JSON object on standard input (environment name: value) the node's secrets."""
    layout = Layout.at(options.parser("secrets", main.__doc__).parse_args(argv).root)
    values = reading.checked(_VALUES, reading.document(sys.stdin.read(), _WHAT), _WHAT)
    with locked(layout):
        restarted = keep(values, layout, supervision.supervisor(layout))
    print(json.dumps({"secrets": sorted(values), "restarted": sorted(restarted)}))
    return 0


def keep(values: Mapping[str, str], layout: Layout, supervisor: Supervisor) -> set[str]:
    """Make `values` all of the node's secrets; return the services that were started again for it.

    Services that use one that changes are stopped before, so that none ever runs with an old one unnoticed.
    """
    supervision.prepare(layout)
    kept = {path.name for path in layout.secrets.iterdir()}
    changed = {name for name, value in values.items() if read_if_there(layout.secret(name)) != value}
    changed |= kept - values.keys()
    known = launch.read_all(layout)
    using = {service for service, one in known.items() if changed.intersection(one.secrets)}
    converge.stop(supervisor, using & supervisor.states().keys(), known)
    for name in kept - values.keys():
        layout.secret(name).unlink()
    for name in changed & values.keys():
        write_atomically(layout.secret(name), values[name], mode=0o600, owner=layout.service_user)
    return converge.start_idle(supervisor)
