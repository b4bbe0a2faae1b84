"""`nodectl forget`: removes a node's secrets, when its stack has none any more or is destroyed."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

from nodectl.layout import Layout
from nodectl.lock import locked
from nodectl.remove import is_owned, remove_folder
from nodectl.secrets import keep
from nodectl.supervisord import Supervisord


def main(argv: Sequence[str]) -> int:
    """Remove all secrets of the node, unless it belongs to a successor by now."""
    parser = argparse.ArgumentParser(prog="nodectl forget", description=main.__doc__)
    parser.add_argument("--root", type=Path, required=True, help="the node's folder")
    parser.add_argument("--identity", help="do so only while this identity is recorded, or none")
    options = parser.parse_args(argv)
    layout = Layout.at(options.root)
    with locked(layout):
        owned = is_owned(layout, options.identity)
        if owned and layout.manifest.exists():
            keep({}, layout, Supervisord(layout))
        elif owned:
            remove_folder(layout)  # no manifest was ever applied, or the node was removed before
    print(json.dumps({"forgotten": owned}))
    return 0
