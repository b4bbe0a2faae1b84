"""Draw the README's picture from the output of `scripts/up`: scripts/up | python -m tools.picture."""

import io
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from rich.console import Console
from rich.text import Text

from nodectl.common.commandline import CommandLine

PICTURE = Path("docs/up.svg")
WIDTH = 100
STYLES = {"ok": "green", **dict.fromkeys(("toolchain", "plan", "proof", "ready"), "bold")}


def shortened(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines, with Pulumi's own display shortened to one."""
    visible = True
    for line in lines:
        if line.startswith("Updating ("):
            visible = False
            yield "           … Pulumi's own display …"
        if visible and line.strip():
            yield line.rstrip()
        if line.startswith("Duration:"):
            visible = True


def main() -> None:
    """Write the picture."""
    CommandLine(prog="python -m tools.picture", description=__doc__).parse_args()
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text("$ scripts/up", style="bold"))
    for line in shortened(sys.stdin):
        console.print(Text(line, style=STYLES.get(line.split()[0], "")), soft_wrap=False)
    PICTURE.write_text(console.export_svg(title="dynamo-multinode"), encoding="utf-8")


if __name__ == "__main__":
    main()
