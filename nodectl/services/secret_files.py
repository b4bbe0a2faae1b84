"""A node's secrets as files that only the user who runs its services can read."""

from collections.abc import Mapping

from nodectl.common.files import read_if_there, write_atomically
from nodectl.common.layout import Layout
from nodectl.services import supervision
from nodectl.supervisors import converge, launch
from nodectl.supervisors.supervisor import Supervisor


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
