"""A node as the components see it: a local one, a host of an inventory and an instance on AWS look alike."""

from typing import Final, NamedTuple

import pulumi

HOST_ROOT: Final = "/var/lib/dynamo-multinode"
"""Folder of all stacks on a host; nodectl keeps services below it with systemd."""


class Node(NamedTuple):
    """One machine that nodectl can be run on."""

    name: str
    address: str
    """Address that the other nodes reach it at; planned, so a plain value already at preview."""
    nodectl: tuple[str, ...]
    """Command, run in the project folder, that a verb of nodectl and its options are added to."""
    undo: tuple[str, ...] | None
    """The same for what takes something back: it succeeds where the machine is no more.

    None where the machine itself goes, and everything on it.
    """
    identity: str | pulumi.Output[str]
    """Tells this machine from a successor at the same address; a new one sets the node up anew."""
    root: str
    """Folder on the node that nodectl keeps everything in."""
    here: bool
    """Whether the node is this machine."""
    public: pulumi.Input[str] | None = None
    """Address that clients ask it at, where that is another."""
    ends: str | pulumi.Output[str] | None = None
    """End of the machine's capacity block (`nodectl.contract.manifest.Watch`); empty where not known."""
