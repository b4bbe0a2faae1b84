"""Undo in an environment what `scripts/env` did to it. The standard library only."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from tools.toolchain.common import TOOLCHAIN

RECORD = "DYNAMO_MULTINODE_ENV"
"""What was exported last and what it replaced, so that no clone takes it for the user's own."""


def before(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as it was before the exports of this clone or of another."""
    restored = dict(environ)
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    restored["PATH"] = os.pathsep.join(f for f in folders if Path(f).parent.name != TOOLCHAIN.name)
    for name, (ours, theirs) in json.loads(environ.get(RECORD, "{}")).items():
        if restored.get(name) == ours:
            restored.pop(name)
            if theirs is not None:
                restored[name] = theirs
    restored.pop(RECORD, None)
    return restored
