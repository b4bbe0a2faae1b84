"""The supervisor of a node: systemd on hosts, a supervisord of its own anywhere else.

Everything in which a host's node differs from one on an operator's machine is decided here.
"""

from collections.abc import Iterable

from nodectl.common.errors import BadInputError
from nodectl.common.layout import CODE, Layout
from nodectl.contract.firewall import Firewall
from nodectl.host import firewall, idle_and_spot, shared
from nodectl.services import port_conflicts
from nodectl.services.port_conflicts import Need
from nodectl.supervisors import identity, unitfile
from nodectl.supervisors.supervisor import Supervisor


def supervisor(layout: Layout) -> Supervisor:
    """Return what keeps the services of the node at `layout` running."""
    if layout.on_host:
        from nodectl.supervisors.systemd import Systemd  # noqa: PLC0415 - either may lack what the other needs

        return Systemd(layout)
    from nodectl.supervisors.supervisord import Supervisord  # noqa: PLC0415 - as above

    return Supervisord(layout)


def prepare(layout: Layout) -> None:
    """Make the node's folders and, on a host, the user whom services run as."""
    if layout.on_host:
        shared.prepare(layout)
    else:
        layout.make()


def check_ports(layout: Layout, needs: Iterable[Need], variant: str) -> None:
    """Raise NodectlError when anybody but the node listens where its services are about to."""
    units = unitfile.prefix(layout.root.parent.name, layout.root.name)
    session = None if layout.on_host else identity.supervisor(layout)
    node = port_conflicts.Own(layout.root, units, session)
    port_conflicts.check(needs, node, f"{CODE}/nodectl/run {variant} remove")


def tidy(layout: Layout) -> None:
    """Take away what an earlier apply needed and nothing needs any more."""
    if layout.on_host:
        shared.tidy()


def guard(layout: Layout, desired: Firewall | None) -> None:
    """Set a host's firewall to refuse connections that its nodes do not need."""
    if layout.on_host:
        firewall.guard(layout, desired)
    elif desired is not None:
        raise BadInputError("firewall: only hosts have one of their own; leave it out")


def watch(layout: Layout, *, wanted: bool) -> None:
    """Install or remove the unit that ends an idle host and drains one that is taken away."""
    if layout.on_host:
        idle_and_spot.keep(layout, wanted=wanted)
    elif wanted:
        raise BadInputError("watch: only hosts are watched; leave it out")


def leave(layout: Layout) -> None:
    """Take away what only nodes need that are gone: the folder of this one was just removed."""
    if layout.on_host:
        shared.leave(layout)
