"""The command provider without nodes: what would run on a node is written down and said to have succeeded.

For stacks whose instances are entries in books. Everything else, such as making keys, runs as ever.
"""

import json
import sys
from pathlib import Path
from typing import Final

sys.path[0] = str(Path(__file__).resolve().parents[3])

from plugins.command import local  # noqa: E402 -- after the path that it is found on
from plugins.command.output import Log  # noqa: E402
from plugins.command.wire import Properties  # noqa: E402

ON_NODE: Final = "-m remote"
PROVED: Final = {"ok": True, "provedAt": "", "digest": "", "seconds": 0, "checks": []}
_run: Final = local.run


async def run(command: str, inputs: Properties, previous: Properties, log: Log) -> Properties:
    """Run a command, unless it is for a node."""
    if ON_NODE in command:
        return {"stdout": json.dumps(PROVED), "stderr": ""}
    return await _run(command, inputs, previous, log)


local.run = run  # before the table of resources takes it

if __name__ == "__main__":
    from plugins.command.server import main

    main()
