"""`python3 -P -S -m nodectl.enter VARIANT VERB ARGUMENTS…`: runs a verb on a host, by the Python that it has.

`install`, which makes the variant's environment, what undoes a node and `probe` run as
they are; any other verb runs in that environment.
"""

import os
import sys
from collections.abc import Sequence
from typing import Final

from nodectl import __main__ as nodectl
from nodectl.common import isolated, surroundings
from nodectl.common.errors import NodectlError
from nodectl.runtime import cache
from nodectl.versions import VARIANTS

BARE: Final = ("install", "remove", "forget", "restore", "watch", "probe")
"""Verbs that need the standard library alone: quicker so, or for a host whose environment was lost."""


def main(argv: Sequence[str]) -> int:  # noqa: RET503 - exec does not come back
    """Run a verb, here or by becoming the environment's Python."""
    if len(argv) < 2:
        print(
            f"usage: run VARIANT VERB [OPTIONS], with VARIANT one of {', '.join(VARIANTS)}",
            file=sys.stderr,
        )
        return 2
    variant, verb, *arguments = argv
    if verb in BARE:
        return nodectl.main([verb, *arguments])
    try:
        python = str(cache.installed_python(variant))
    except NodectlError as error:
        print(f"nodectl {verb}: {error}", file=sys.stderr)
        return error.code
    os.execv(python, isolated.module(python, "nodectl", verb, *arguments))  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    surroundings.settle(umask=0o022)
    sys.exit(main(sys.argv[1:]))
