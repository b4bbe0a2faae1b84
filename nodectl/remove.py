"""`nodectl remove`: takes everything that nodectl put on a node away, however far it had come."""

import argparse
import contextlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nodectl import converge, identity, launch, processes
from nodectl.errors import NodectlError
from nodectl.layout import Layout
from nodectl.lock import locked
from nodectl.supervisor import Supervisor
from nodectl.supervisord import Supervisord

LOCAL_FOLDER: Final = ".run"
"""Folder of the local stacks: `.run/STACK/NODE` is a node's root."""


def main(argv: Sequence[str]) -> int:
    """Stop all services and remove the node's folder, unless it belongs to a successor by now."""
    parser = argparse.ArgumentParser(prog="nodectl remove", description=main.__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the node's folder")
    parser.add_argument("--identity", help="remove the node only while this identity is recorded, or none")
    options = parser.parse_args(argv)
    layout = Layout.at(options.root)
    with locked(layout):
        owned = is_owned(layout, options.identity)
        if owned:
            remove(layout, Supervisord(layout))
    print(json.dumps({"removed": owned}))
    return 0


def is_owned(layout: Layout, wanted: str | None) -> bool:
    """Return whether whoever set the node up as `wanted` may undo it; None may always."""
    return wanted is None or identity.recorded(layout) in (None, wanted)


def remove(layout: Layout, supervisor: Supervisor) -> None:
    """End everything that the node runs, then its folder."""
    known = launch.read_all(layout)
    try:
        converge.stop(supervisor, supervisor.states().keys(), known)
        supervisor.shut_down()
    except NodectlError as error:
        converge.say(f"the supervisor does not stop its services: {error}")
    processes.end_orphans(layout, known)
    remove_folder(layout)


def remove_folder(layout: Layout) -> None:
    """Remove the node's folder, and the folders of local stacks that this leaves empty.

    It is renamed first: a nodectl that waits for the lock begins a new folder and finds nothing of this one.
    """
    gone = layout.root.with_name(f"{layout.root.name}.removed")
    shutil.rmtree(gone, ignore_errors=True)
    layout.root.rename(gone)
    shutil.rmtree(gone)
    stack, run = layout.root.parents[:2]
    if run.name == LOCAL_FOLDER:
        for folder in (stack, run):
            with contextlib.suppress(OSError):
                folder.rmdir()
