"""Puts a proof into words: the table of its checks, and what a failed one leaves to look at."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from nodectl.manifest import ProofResult, ProofSpec

LOG_LINES: Final = 12


def render(result: ProofResult) -> str:
    """Return the proof as a table: a line of totals and one line a check."""
    width = max(len(check.name) for check in result.checks)
    lines = [f"proof      {len(result.checks)} checks, {result.seconds:.1f} s"]
    for check in result.checks:
        lines.append(f"  {'ok  ' if check.ok else 'FAIL'}  {check.name:<{width}}  {check.seen}")
    return "\n".join(lines)


def explain(spec: ProofSpec, result: ProofResult, blame: Sequence[str]) -> str:
    """Return what a user of a failed proof needs: the check, what was seen, and the logs of the services to blame."""
    failed = next(check for check in result.checks if not check.ok)
    lines = [f"proof failed at {failed.name} after {failed.seconds:.1f} s: {failed.seen}"]
    for service in blame:
        lines += _log(spec, service)
    return "\n".join(lines)


def _log(spec: ProofSpec, service: str) -> list[str]:
    for node, root in spec.node_roots.items():
        log = Path(root) / "logs" / f"{service}.log"
        if log.exists():
            last = log.read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
            more = shlex.join(["nodectl", "logs", service, "--root", root])
            return [
                f"  last lines of {service} on {node}:",
                *(f"    {line}" for line in last),
                f"  more: {more}",
            ]
    return [f"  more, on the node of {service}: nodectl logs {service}"]
