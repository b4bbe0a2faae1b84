"""A node as the components see it: where it came from (this machine, an inventory, AWS) no longer matters."""

from typing import NamedTuple

import pulumi
import pulumi_command as command


class Node(NamedTuple):
    """One machine that nodectl can be run on."""

    name: str
    address: str
    """Address that the other nodes reach it at; planned, so a plain value already at preview."""
    connection: command.remote.ConnectionArgs | None
    """How to reach it over SSH; None: it is this machine."""
    identity: pulumi.Input[str]
    """Tells this machine from a successor at the same address; a new one sets the node up anew."""
    root: str
    """Folder on the node that nodectl keeps everything in."""
