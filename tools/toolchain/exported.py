"""Undo the exports of `scripts/env` in an environment. Standard library only."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from tools.toolchain.common import TOOLCHAIN

RECORD = "DYNAMO_MULTINODE_ENV"
"""Variable with the last exports and the values they replaced, so that no clone takes them for the user's."""


def before(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the environment as it was before the exports of this clone or of another."""
    restored = dict(environ)
    folders = environ.get("PATH", os.defpath).split(os.pathsep)
    restored["PATH"] = os.pathsep.join(f for f in folders if Path(f).parent.name != TOOLCHAIN.name)
    for name, (exported, original) in json.loads(environ.get(RECORD, "{}")).items():
        if restored.get(name) == exported:
            restored.pop(name)
            if original is not None:
                restored[name] = original
    restored.pop(RECORD, None)
    return restored
