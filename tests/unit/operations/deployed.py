"""A deployed node as the state of a stack has it: the component, and the commands that set it up."""

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from components.tokens import NODE
from operations.state import COMMAND


def deployed(
    name: str,
    nodectl: Sequence[str],
    *,
    root: str = "/r",
    here: bool = False,
    setup: Mapping[str, Sequence[str]] | None = None,
    stdin: str = "{}",
) -> list[dict[str, Any]]:
    """Return the resources of a node that `nodectl` reaches; `setup` maps verbs to other commands."""
    commands = setup or {"apply": [*nodectl, "apply", "--root", root]}
    prefix = "urn:pulumi:s::dynamo::dynamo:index:Deployment$"
    outputs = {
        "address": "10.0.0.1",
        "root": root,
        "here": here,
        "nodectl": list(nodectl),
        "commands": {verb: f"{name}-{verb}" for verb in commands},
    }
    children = [
        {
            "type": COMMAND,
            "urn": f"{prefix}{NODE}${COMMAND}::{name}-{verb}",
            "inputs": {"create": shlex.join(argv), "stdin": stdin},
        }
        for verb, argv in commands.items()
    ]
    return [{"type": NODE, "urn": f"{prefix}{NODE}::{name}", "outputs": outputs}, *children]
