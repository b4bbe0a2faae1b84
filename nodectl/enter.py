"""`python3 -P -m nodectl.enter VARIANT VERB ARGUMENTS…`: runs a verb on a host, whose own Python runs this.

Standard library only. `install` runs as it is; any other verb runs in the variant's environment, which
`install` made.
"""

import os
import sys
from collections.abc import Sequence

from nodectl import __main__ as nodectl
from nodectl import environments, install
from nodectl.errors import NodectlError


def main(argv: Sequence[str]) -> int:  # noqa: RET503 - exec does not come back
    """Run a verb, and do not come back unless it is `install` or cannot be."""
    if len(argv) < 2:
        print(
            f"usage: run VARIANT VERB [OPTIONS], with VARIANT one of {', '.join(environments.SIZES)}",
            file=sys.stderr,
        )
        return 2
    variant, verb, *rest = argv
    if verb == "install":
        return nodectl.main([verb, *rest])
    try:
        python = str(install.installed_python(variant))
    except NodectlError as error:
        print(f"nodectl {verb}: {error}", file=sys.stderr)
        return error.code
    os.execv(python, [python, "-P", "-m", "nodectl", verb, *rest])  # noqa: S606 - no shell is the point


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
