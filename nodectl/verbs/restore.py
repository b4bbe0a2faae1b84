"""`nodectl restore`: puts back at boot what a machine lost with its instance store (for systemd).

The environment that other verbs run in may be what was lost.
"""

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from nodectl.common.commandline import CommandLine
from nodectl.common.errors import NothingAppliedError
from nodectl.common.layout import HOST_ROOTS, Layout
from nodectl.common.steps import LIMIT_SECONDS, say
from nodectl.contract import documents
from nodectl.contract.runtime import InstallSpec
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


def specs(layout: Layout) -> Iterator[InstallSpec]:
    """Yield the runtime spec of a node whose cache is on the instance store, with its secrets."""
    try:
        runtime = documents.applied(layout).runtime
    except NothingAppliedError:
        return
    if runtime.cache == "nvme":
        secrets = {path.name: path.read_text(encoding="utf-8") for path in _secrets(layout)}
        yield InstallSpec.of(runtime, secrets)


def _secrets(layout: Layout) -> list[Path]:
    return sorted(layout.secrets.iterdir()) if layout.secrets.is_dir() else []
