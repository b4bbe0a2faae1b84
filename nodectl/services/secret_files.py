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
    existing_names = {path.name for path in layout.secrets.iterdir()}
    changed_names = {name for name, value in values.items() if read_if_there(layout.secret(name)) != value}
    changed_names |= existing_names - values.keys()
    launches = launch.read_all(layout)
    affected_services = {
        service
        for service, service_launch in launches.items()
        if changed_names.intersection(service_launch.secrets)
    }
    converge.stop(supervisor, affected_services & supervisor.states().keys(), launches)
    for name in existing_names - values.keys():
        layout.secret(name).unlink()
    for name in changed_names & values.keys():
        write_atomically(layout.secret(name), values[name], mode=0o600, owner=layout.service_user)
    return converge.start_idle(supervisor)
