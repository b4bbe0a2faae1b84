"""What a change would do to a stack, as Markdown for a pull request: plan, changes, restarts, or why not.

Values of properties are left out: whoever reads the pull request need not be allowed to see them.
"""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

ROWS: Final = 60
"""Changes that are listed one by one, with at most this many of their properties each."""
NAMES: Final = 8
LETTERS: Final = 12000
"""Of each text: GitHub takes 65,536 of a comment."""

_REPLACING: Final = ("create-replacement", "delete-replaced", "replace")
_SHOWN: Final = ("replace", "delete", "create", "update", "import")
"""The order of the list: what hurts first."""

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m|<\{%[a-z ]+%\}>")
_PLANNED: Final = "plan "


@dataclass(frozen=True)
class Change:
    """What would become of one resource."""

    step: str
    kind: str
    name: str
    properties: tuple[str, ...]


@dataclass(frozen=True)
class Preview:
    """What the engine said of an `up`."""

    changes: tuple[Change, ...]
    said: tuple[str, ...]
    """Of restarts, cost and account, beside the plan."""
    wrong: tuple[str, ...]


def read(printed: str, errors: str, *, failed: bool) -> Preview:
    """Return what `pulumi preview --json` printed, and what it said beside it."""
    try:
        report = json.loads(printed)
    except ValueError:
        report = {}
    notes = [
        (note.get("severity"), _plain(note.get("message", ""))) for note in report.get("diagnostics", [])
    ]
    wrong = [text for severity, text in notes if severity == "error" or str(severity).startswith("policy")]
    if failed and not wrong:
        wrong = [_plain(errors) or "the preview failed and did not say why"]
    return Preview(
        changes=tuple(sorted(_changes(report.get("steps", [])), key=lambda one: _SHOWN.index(one.step))),
        said=tuple(
            text for severity, text in notes if severity in ("info", "warning") and not _is_plan(text)
        ),
        wrong=tuple(wrong),
    )


def markdown(stack: str, plan: str, preview: Preview | None) -> str:
    """Return the section of one stack; without a preview the plan says what is wrong."""
    lines = [f"### {_code(stack)}: {summary(preview)}", ""]
    if preview is not None and preview.wrong:
        lines += ["**Refused or failed:**", "", *_fenced("\n".join(preview.wrong)), ""]
    if preview is not None and preview.said:
        lines += ["**Restarts, cost and account:**", "", *_fenced("\n".join(preview.said)), ""]
    lines += ["<details open><summary>Plan</summary>", "", *_fenced(plan), "", "</details>", ""]
    if preview is not None and preview.changes:
        lines += [f"<details><summary>{len(preview.changes)} changes</summary>", ""]
        lines += [*_table(preview.changes), "", "</details>", ""]
    return "\n".join(lines)


def summary(preview: Preview | None) -> str:
    """Return what would happen, in one line."""
    if preview is None:
        return "the stack file is wrong"
    if preview.wrong:
        return "would not be brought up"
    counted = Counter(change.step for change in preview.changes)
    return ", ".join(f"{counted[step]} to {step}" for step in _SHOWN if counted[step]) or "no changes"


def _changes(steps: Iterable[Mapping[str, Any]]) -> Iterator[Change]:
    """Yield each resource that would change once: a replacement is three steps of the engine."""
    found: dict[str, Change] = {}
    for step in steps:
        operation = "replace" if step["op"] in _REPLACING else step["op"]
        if operation not in _SHOWN:
            continue
        kind, _, name = step["urn"].rpartition("::")
        properties = step.get("diffReasons") or step.get("replaceReasons") or ()
        last = found.get(step["urn"])
        known = tuple(properties) or (last.properties if last else ())
        found[step["urn"]] = Change(operation, re.split(r"[$:]{1,2}", kind)[-1], name, known)
    yield from found.values()


def _table(changes: Sequence[Change]) -> list[str]:
    rows = ["| change | resource | of type | because of |", "|---|---|---|---|"]
    for one in changes[:ROWS]:
        because = ", ".join(map(_code, one.properties[:NAMES]))
        more = f" and {len(one.properties) - NAMES} more" if len(one.properties) > NAMES else ""
        rows.append(f"| {one.step} | {_code(one.name)} | {_code(one.kind)} | {because}{more} |")
    if len(changes) > ROWS:
        rows.append(f"| … | {len(changes) - ROWS} more | | |")
    return rows


def _fenced(text: str) -> list[str]:
    """Return a text as it is, whatever it holds: nothing in it becomes Markdown or a mention."""
    text = text.strip("\n")
    if len(text) > LETTERS:
        text = f"{text[:LETTERS]}\n… {len(text) - LETTERS} letters more"
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return [f"{fence}text", text, fence]


def _code(text: str) -> str:
    return f"`{re.sub(r'[`|<>\s]+', ' ', text)}`"


def _plain(text: str) -> str:
    return _COLOURS.sub("", text).strip("\n")


def _is_plan(text: str) -> bool:
    return text.startswith(_PLANNED)


def _output(command: Sequence[str], stack: str) -> tuple[int, str, str]:
    done = subprocess.run([*command, stack], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout, done.stderr


def main(stack: str) -> int:
    """Print the Markdown; return 1 where the preview failed, 2 where the stack file is wrong."""
    wrong, plan, problems = _output([sys.executable, "-m", "planning"], stack)
    if wrong:
        print(markdown(stack, problems or plan, None))
        return 2
    code, _, errors = _output([sys.executable, "-m", "scripts.stack", "create"], stack)
    printed = ""
    if not code:
        preview = ["pulumi", "preview", "--json", "--non-interactive", "--color", "never", "--stack"]
        code, printed, errors = _output(preview, stack)
    print(markdown(stack, plan, read(printed, errors, failed=code != 0)))
    if code and os.environ.get("CI"):
        print(f"{stack}: {_plain(errors)[-2000:]}", file=sys.stderr)
    return 1 if code else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
