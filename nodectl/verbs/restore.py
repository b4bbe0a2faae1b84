"""`nodectl restore`: puts back at boot what a machine lost with its instance store (for systemd).

The environment that other verbs run in may be what was lost.
"""

import json
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nodectl.common.commandline import CommandLine
from nodectl.common.files import read_if_there
from nodectl.common.layout import HOST_ROOTS, Layout
from nodectl.common.steps import LIMIT_SECONDS, say
from nodectl.host import nvme
from nodectl.runtime import cache
from nodectl.verbs import install


def main(argv: Sequence[str]) -> int:
    """Mount the cache, and install again what the nodes of this host were installed with."""
    CommandLine(prog="nodectl restore", description=main.__doc__).parse_args(argv)
    nvme.ensure(cache.folder(), time.monotonic() + LIMIT_SECONDS)
    for root in sorted(HOST_ROOTS.glob("*/*")):
        layout = Layout(root)
        for spec in specs(layout):
            say(f"installing what {layout.root.name} runs from")
            install.provide(spec)
    return 0


def specs(layout: Layout) -> Iterator[dict[str, Any]]:
    """Yield the runtime spec of a node whose cache is on the instance store, with its secrets."""
    text = read_if_there(layout.manifest)
    runtime: dict[str, Any] = json.loads(text)["runtime"] if text else {}
    if runtime.get("cache") == "nvme":
        yield runtime | {
            "secrets": {path.name: path.read_text(encoding="utf-8") for path in _secrets(layout)}
        }


def _secrets(layout: Layout) -> list[Path]:
    return sorted(layout.secrets.iterdir()) if layout.secrets.is_dir() else []
