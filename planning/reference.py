"""`python -m planning.reference`: writes what pages below docs show of the shipped stacks."""

import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Final

from nodectl.common.commandline import CommandLine
from planning.describe import describe, opens
from planning.network.ports import of_slot
from planning.planner import plan
from settings import Settings
from settings.loader import read_stack_file
from settings.ports import PortSettings

PAGE: Final = Path("docs/ports.md")
STACKS: Final = tuple(Path(f"stacks/Pulumi.{name}.yaml") for name in ("disagg", "large"))
"""Between them, with one frontend and with two, they have every kind of flow."""

PLAN_PAGE: Final = Path("docs/aws-plan.md")
PLAN: Final = "<!-- scripts/plan disagg -->\n"
BEGIN: Final = "<!-- tables: python -m planning.reference -->\n"
END: Final = "<!-- end of tables -->\n"


def with_tables(page: str, stacks: Iterable[Path] = STACKS) -> str:
    """Return `page` with what stands between its markers made anew."""
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    stack_files = [read_stack_file(path) for path in stacks]
    flows = {
        flow for settings in (*stack_files, *map(_balanced, stack_files)) for flow in plan(settings).flows
    }
    tables = [
        *_table(("from", "to", "port", "why"), opens(sorted(flows))),
        "",
        *_table(("port of a slot", "0", "1", "2", "7"), _slots((0, 1, 2, 7))),
    ]
    return f"{before}{BEGIN}\n" + "\n".join(tables) + f"\n\n{END}{after}"


def with_plan(page: str) -> str:
    """Return `page` with the printed plan below its marker made anew, up to the ports inside."""
    before, _, rest = page.partition(PLAN)
    _, _, after = rest.removeprefix("```\n").partition("```\n")
    text = describe(plan(read_stack_file(STACKS[0]))).partition("\nopens\n")[0]
    return f"{before}{PLAN}```\n{text}\n```\n{after}"


def _balanced(settings: Settings) -> Settings:
    """Return the same stack file with two frontends."""
    frontend = settings.roles.frontend.model_copy(update={"replicas": 2})
    roles = settings.roles.model_copy(update={"frontend": frontend})
    return settings.model_copy(update={"roles": roles})


def _slots(slots: Sequence[int]) -> Iterator[list[str]]:
    ports = [asdict(of_slot(PortSettings(), slot)) for slot in slots]
    for name in ports[0]:
        yield [name.replace("_", " "), *(str(numbers[name]) for numbers in ports)]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"


if __name__ == "__main__":
    CommandLine(prog="python -m planning.reference", description=__doc__).parse_args()
    PAGE.write_text(with_tables(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    PLAN_PAGE.write_text(with_plan(PLAN_PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"wrote {PAGE} and {PLAN_PAGE}", file=sys.stderr)
