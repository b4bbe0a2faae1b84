"""`python -m nodectl VERB`: exit code 0 done, 1 failed, 2 bad input, 3 timed out, 4 no manifest applied."""

import importlib
import resource
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from nodectl.common import surroundings
from nodectl.common.disk import explained
from nodectl.common.errors import NodectlError
from nodectl.common.redaction import without_known_secrets

VERBS: Final[Mapping[str, str]] = {
    "install": "put the runtime and the model on this machine",
    "apply": "converge the node to the manifest on standard input",
    "remove": "stop everything and remove the node's folder",
    "secrets": "make the values on standard input the node's secrets",
    "forget": "remove the node's secrets",
    "status": "say what every service does",
    "logs": "print the last lines of a service's log",
    "proof": "show that a deployment does what it should",
    "compact": "free the space of etcd's history and clear its space alarm",
    "probe": "show that this node reaches every port that it needs",
    "wait": "wait for what a service needs, then become it (for the supervisor)",
    "run-registered": "run a service, and end it when etcd lost its registration (for the supervisor)",
    "gang": "run one rank of an engine that spans nodes (for the supervisor)",
    "watch": "end this node when it idles, drain it when it is taken away (for systemd)",
    "restore": "put back at boot what an instance store lost (for systemd)",
    "gate": "run a frontend behind a balancer (for the supervisor)",
}
"""Verb -> what it does; one module does it (`module`), and nothing else is imported."""

_MODULES: Final[Mapping[str, str]] = {"secrets": "keep_secrets", "run-registered": "run_registered"}
"""Verbs that are no module's name, or one of the standard library's."""

_FOR_SERVICES: Final = ("run-registered", "gang", "gate", "wait")
"""Verbs that become a service, or its parent: what a service writes is for its own user alone."""


def module(verb: str) -> str:
    """Return the name of the module that does `verb`."""
    return f"nodectl.verbs.{_MODULES.get(verb, verb)}"


def main(argv: Sequence[str]) -> int:
    """Run one verb."""
    if argv and argv[0] in ("-h", "--help"):
        width = max(map(len, VERBS))
        verbs = "\n".join(f"  {verb:<{width}}  {description}" for verb, description in VERBS.items())
        print(f"usage: nodectl VERB [OPTIONS], with VERB one of\n{verbs}")
        return 0
    if not argv or argv[0] not in VERBS:
        print(f"nodectl: expected a verb, one of {', '.join(VERBS)}", file=sys.stderr)
        return 2
    # nor of what it starts: a core dump would hold whatever is in memory, a hub token perhaps
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    verb, *arguments = argv
    try:
        return int(importlib.import_module(module(verb)).main(arguments))
    except NodectlError as error:
        print(without_known_secrets(f"nodectl {verb}: {error}"), file=sys.stderr)
        return error.code
    except OSError as error:
        print(without_known_secrets(f"nodectl {verb}: {explained(error, arguments)}"), file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"nodectl {verb}: interrupted; run it again to converge", file=sys.stderr)
        return 1


def process(argv: Sequence[str]) -> int:
    """Run one verb as all that this process is for: its environment is settled first."""
    surroundings.settle(umask=0o077 if argv[:1] and argv[0] in _FOR_SERVICES else 0o022)
    return main(argv)


if __name__ == "__main__":
    sys.exit(process(sys.argv[1:]))
