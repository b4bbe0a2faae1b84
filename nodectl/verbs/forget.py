"""`nodectl forget`: removes a node's secrets, when its stack has none any more or is destroyed."""

import json
from collections.abc import Sequence

from nodectl.common.lock import locked
from nodectl.services import supervision
from nodectl.services.secret_files import keep
from nodectl.verbs import options
from nodectl.verbs.remove import remove_folder


def main(argv: Sequence[str]) -> int:
    """Remove all secrets of the node, unless it belongs to a successor by now."""
    undoing = options.undoing("forget", main.__doc__, argv)
    layout = undoing.layout
    with locked(layout):
        is_due = undoing.is_due()
        if is_due and layout.manifest.exists():
            keep({}, layout, supervision.supervisor(layout))
        elif is_due:
            remove_folder(layout)  # no manifest was ever applied, or the node was removed before
    print(json.dumps({"forgotten": is_due}))
    return 0
