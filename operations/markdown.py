"""Changes to a stack as Markdown for a pull request: plan, changes, restarts, or why not.

Values of properties are left out: whoever reads the pull request need not be allowed to see them.
"""

import json
import re
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
_NOT_IN_CODE: Final = re.compile(r"[`|<>\s]+")
_PLANNED: Final = "plan "


@dataclass(frozen=True)
class Change:
    """Planned change to one resource: step of the engine, type, name, properties that cause it."""

    step: str
    kind: str
    name: str
    properties: tuple[str, ...]


@dataclass(frozen=True)
class Preview:
    """Report of the engine on an `up`: changes, notes and errors."""

    changes: tuple[Change, ...]
    said: tuple[str, ...]
    """Of restarts, cost and account, beside the plan."""
    wrong: tuple[str, ...]


def read(output: str, errors: str, *, failed: bool) -> Preview:
    """Return what the CLI printed: events of the engine, a line each; `errors` is what it said beside them.

    Source: EngineEvent in sdk/go/common/apitype/events.go of Pulumi 3.259.
    """
    events = [event for line in output.splitlines() if (event := _event(line))]
    notes = [event["diagnosticEvent"] for event in events if "diagnosticEvent" in event]
    notes = [note for note in notes if not note.get("ephemeral")]
    policy_events = [event["policyEvent"] for event in events if "policyEvent" in event]
    problems = [f"{violation['policyName']}: {_plain(violation['message'])}" for violation in policy_events]
    problems += [_plain(note["message"]) for note in notes if note.get("severity") == "error"]
    if failed and not problems:
        problems = [_plain(errors) or "the preview failed and did not say why"]
    messages = [_plain(note["message"]) for note in notes if note.get("severity") in ("info", "warning")]
    steps = [event["resourcePreEvent"]["metadata"] for event in events if "resourcePreEvent" in event]
    return Preview(
        changes=tuple(sorted(_changes(steps), key=_order)),
        said=tuple(text for text in messages if text and not text.startswith(_PLANNED)),
        wrong=tuple(problems),
    )


def _event(line: str) -> Mapping[str, Any]:
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


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
    counts = Counter(change.step for change in preview.changes)
    return ", ".join(f"{counts[step]} to {step}" for step in _SHOWN if counts[step]) or "no changes"


def _changes(steps: Iterable[Mapping[str, Any]]) -> Iterator[Change]:
    """Yield each resource that would change, once: a replacement is three steps of the engine.

    Components are left out: they are what the resources are grouped by.
    """
    changes: dict[str, Change] = {}
    for step in steps:
        operation = "replace" if step["op"] in _REPLACING else step["op"]
        state = step.get("new") or step.get("old") or {}
        if operation not in _SHOWN or not state.get("custom"):
            continue
        previous = changes.get(step["urn"])
        properties = tuple(step.get("diffs") or step.get("keys") or (previous.properties if previous else ()))
        name, kind = step["urn"].rpartition("::")[2], step["type"].rpartition(":")[2]
        changes[step["urn"]] = Change(operation, kind, name, properties)
    yield from changes.values()


def _order(change: Change) -> tuple[int, str, str]:
    return _SHOWN.index(change.step), change.name, change.kind


def _table(changes: Sequence[Change]) -> list[str]:
    rows = ["| change | resource | of type | because of |", "|---|---|---|---|"]
    for change in changes[:ROWS]:
        properties = ", ".join(map(_code, change.properties[:NAMES]))
        remainder = f" and {len(change.properties) - NAMES} more" if len(change.properties) > NAMES else ""
        rows.append(
            f"| {change.step} | {_code(change.name)} | {_code(change.kind)} | {properties}{remainder} |"
        )
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
    """Return a name in which nothing is Markdown."""
    return f"`{_NOT_IN_CODE.sub(' ', text)}`"


def _plain(text: str) -> str:
    return _COLOURS.sub("", text).strip("\n")
