"""The parts of a service's log that say why it failed: warnings and errors first, then how it went on.

The last lines alone are often those of whoever asked how the service is.
"""

import os
import re
import shlex
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from nodectl.supervisors.supervisor import Supervisor

LINES: Final = 12
"""Limit on the lines of an excerpt."""
LOOKED_AT: Final = 2000
"""Number of lines at the end of a log that are looked at."""

_BYTES: Final = 1 << 20
_SECONDS: Final = 20.0
"""Limit on the time to read a log, in seconds."""
_WIDEST: Final = 400
_ENDING: Final = 4
"""Number of lines that are kept for the end of a log that has warnings or errors."""

_ANSI: Final = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_ERROR: Final = re.compile(
    r"\b(ERROR|FATAL|CRITICAL|PANIC|ALERT|EMERG)\b|\[(ERR|FTL)\]|\"level\":\"(error|dpanic|panic|fatal)\""
    r"|^(\w+\.)*\w*(Error|Exception|Exit|Interrupt)\b(: |$)|\bpanicked at\b|\bcore dumped\b|^Killed\b"
    r"|[Nn]o space left on device|[Aa]ddress already in use|[Oo]ut of memory|[Pp]ermission denied"
    r"|[Nn]o such file or directory|[Rr]ead-only file system|[Tt]oo many open files"
)
_WARNING: Final = re.compile(r"\b(WARN|WARNING)\b|\[WRN\]|\"level\":\"warn\"")
_ASKED: Final = re.compile(
    r"\b(GET\b|uri=|path=).*?/(health|live|ready|metrics|v1/models)\b|\bINFO\b.*\bhttp response sent\b"
)
"""Lines about somebody who asks how the service is, such as the proof itself."""

_CHANGING: Final = re.compile(r"0x[0-9a-f]+|[0-9a-f]{8,}|\d+")
"""Parts by which lines differ that say the same: times, process numbers, ids."""


def of_file(log: Path, heading: str) -> list[str]:
    """Return the excerpt of a log file, each part below its heading."""
    with log.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _BYTES))
        return below_headings(file.read().decode(errors="replace").splitlines()[-LOOKED_AT:], heading)


def below_headings(lines: Sequence[str], source: str) -> list[str]:
    """Return what went wrong, once each, and how the log of `source` ends, as lines for an error."""
    plain_lines = [_ANSI.sub("", line).rstrip()[:_WIDEST] for line in lines]
    relevant_lines = [line for line in plain_lines if line and not _ASKED.search(line)] or plain_lines
    troubles = _troubles(relevant_lines)
    last_lines = relevant_lines[-(_ENDING if troubles else LINES) :]
    parts = {
        "warnings and errors of": [line for line in troubles if line not in last_lines],
        "last lines of": last_lines,
    }
    return [
        text
        for heading, part in parts.items()
        if part
        for text in (f"  {heading} {source}:", *(f"    {line}" for line in part))
    ]


def last_words(supervisor: Supervisor, service: str) -> str:
    """Return what of a service's log says why it failed, and the command that shows more, for an error."""
    command = supervisor.log_command(service, lines=LOOKED_AT, follow=False)
    try:
        completed = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False
        )
        text = completed.stdout or completed.stderr
    except subprocess.TimeoutExpired:
        text = "its log cannot be read: no answer"
    more_command = supervisor.log_command(service, lines=100, follow=False)
    return "\n".join([*below_headings(text.splitlines(), service), f"  more: {shlex.join(more_command)}"])


def _troubles(lines: Sequence[str]) -> list[str]:
    """Return lines that tell of trouble, in their order: errors before warnings where there is no room."""
    errors = _distinct(lines, (number for number, line in enumerate(lines) if _ERROR.search(line)))
    warnings = _distinct(lines, (number for number, line in enumerate(lines) if _WARNING.search(line)))
    numbers = _both_ends(errors, LINES - _ENDING)
    numbers |= set(warnings[: LINES - _ENDING - len(numbers)])
    return [lines[number] for number in sorted(numbers)]


def _distinct(lines: Sequence[str], numbers: Iterable[int]) -> list[int]:
    """Return the numbers of lines that say something new, the first of each kind."""
    first_numbers: dict[str, int] = {}
    for number in numbers:
        first_numbers.setdefault(_CHANGING.sub("#", lines[number]), number)
    return list(first_numbers.values())


def _both_ends(numbers: Sequence[int], limit: int) -> set[int]:
    """Return the first, which are causes, and the last, which are what became of it."""
    if len(numbers) <= limit:
        return set(numbers)
    half = limit // 2
    return {*numbers[: limit - half], *numbers[-half:]}
