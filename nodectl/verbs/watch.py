"""`nodectl watch`: stops a machine that is idle, and drains one that is about to be taken away."""

import time
from collections.abc import Sequence

from nodectl.common.layout import Layout
from nodectl.host.idle_and_spot import LOOK_SECONDS, Watcher
from nodectl.host.imds import Metadata
from nodectl.verbs import options


def main(argv: Sequence[str]) -> int:
    """Watch until the machine ends."""
    parser = options.parser("watch", main.__doc__)
    watcher = Watcher(Layout.at(parser.parse_args(argv).root), Metadata())
    while True:
        watcher.look()
        time.sleep(LOOK_SECONDS)
