"""`nodectl remove`: takes everything that nodectl put on a node away, however far it had come."""

import contextlib
import json
import shutil
from collections.abc import Sequence
from typing import Final

from nodectl.common.layout import Layout
from nodectl.common.lock import locked
from nodectl.services import supervision
from nodectl.supervisors import launch
from nodectl.verbs import options

LOCAL_FOLDER: Final = ".run"
"""Folder of the local stacks: `.run/STACK/NODE` is a node's root."""


def main(argv: Sequence[str]) -> int:
    """Stop all services and remove the node's folder, unless it belongs to a successor by now."""
    undoing = options.undoing("remove", main.__doc__, argv)
    with locked(undoing.layout):
        is_due = undoing.is_due()
        if is_due:
            remove(undoing.layout)
    print(json.dumps({"removed": is_due}))
    return 0


def remove(layout: Layout) -> None:
    """End everything that the node runs, then its folder."""
    supervision.supervisor(layout).shut_down(launch.read_all(layout))
    remove_folder(layout)


def remove_folder(layout: Layout) -> None:
    """Remove the node's folder, and what no other node needs: folders of stacks that this leaves empty.

    It is renamed first: a nodectl that waits for the lock begins a new folder and finds nothing of this one.
    """
    trash = layout.root.with_name(f"{layout.root.name}.removed")
    shutil.rmtree(trash, ignore_errors=True)
    layout.root.rename(trash)
    shutil.rmtree(trash)
    supervision.guard(layout, None)
    supervision.watch(layout, wanted=False)
    supervision.leave(layout)
    stack, run_folder = layout.root.parents[:2]
    if run_folder.name == LOCAL_FOLDER:
        for folder in (stack, run_folder):
            with contextlib.suppress(OSError):
                folder.rmdir()
