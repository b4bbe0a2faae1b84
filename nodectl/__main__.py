"""`python -m nodectl VERB`: exit code 0 done, 1 failed, 2 bad input, 3 timed out."""

import importlib
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from nodectl.errors import NodectlError

VERBS: Final[Mapping[str, str]] = {
    "install": "put the runtime and the model on this machine",
    "apply": "converge the node to the manifest on standard input",
    "remove": "stop everything and remove the node's folder",
    "secrets": "make the values on standard input the node's secrets",
    "forget": "remove the node's secrets",
    "status": "say what every service does",
    "logs": "print the last lines of a service's log",
    "proof": "show that a deployment does what it should",
    "probe": "show that this node reaches every port that it needs",
    "wait": "wait for what a service needs, then become it (for the supervisor)",
    "attach": "run a service that registers in etcd, and end it when that is lost (for the supervisor)",
    "gang": "run one rank of an engine that spans nodes (for the supervisor)",
    "watch": "end this node when it idles, drain it when it is taken away (for systemd)",
    "restore": "put back at boot what an instance store lost (for systemd)",
    "gate": "run a frontend behind a balancer (for the supervisor)",
}
"""Verb -> what it does; the module of the same name does it, and nothing else is imported."""


def main(argv: Sequence[str]) -> int:
    """Run one verb."""
    if not argv or argv[0] not in VERBS:
        width = max(map(len, VERBS))
        verbs = "\n".join(f"  {verb:<{width}}  {what}" for verb, what in VERBS.items())
        print(f"usage: nodectl VERB [OPTIONS], with VERB one of\n{verbs}", file=sys.stderr)
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    verb, *rest = argv
    try:
        return int(importlib.import_module(f"nodectl.{verb}").main(rest))
    except NodectlError as error:
        print(f"nodectl {verb}: {error}", file=sys.stderr)
        return error.code
    except OSError as error:
        print(f"nodectl {verb}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"nodectl {verb}: interrupted; run it again to converge", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
