"""Puts a proof into words: the table of its checks, and what a failed one leaves to look at."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from typing import Final

from nodectl import supervision
from nodectl.layout import HOST_ROOTS, Layout
from nodectl.logs import last_words
from nodectl.manifest import ProofResult, ProofSpec

LOG_LINES: Final = 12
LOGS: Final = 3


def render(result: ProofResult) -> str:
    """Return the proof as a table: the totals, then a line for each check."""
    width = max(len(check.name) for check in result.checks)
    rows = [
        f"  {'ok  ' if check.ok else 'FAIL'}  {check.name:<{width}}  {check.seconds:5.1f} s  {check.seen}"
        for check in result.checks
    ]
    return "\n".join([f"proof      {len(rows)} checks, {result.seconds:.1f} s", *rows])


def explain(spec: ProofSpec, result: ProofResult, blame: Sequence[str]) -> str:
    """Return what failed, with the last lines of the services to blame and how to see more."""
    failed = result.checks[-1]
    lines = [f"proof failed at {failed.name} after {failed.seconds:.1f} s: {failed.seen}"]
    for service in blame[:LOGS]:
        lines += _log(spec, service)
    return "\n".join(lines)


def _log(spec: ProofSpec, service: str) -> Iterator[str]:
    logs = {node: Layout.at(root).log(service) for node, root in spec.node_roots.items()}
    written = {node: log.stat().st_mtime for node, log in logs.items() if log.is_file()}
    if not written:
        yield from _elsewhere(spec, service)
        return
    node = max(written, key=lambda found: written[found])  # a service that moved left its old log behind
    last = logs[node].read_text(encoding="utf-8", errors="replace").splitlines()[-LOG_LINES:]
    yield f"  last lines of {service} on {node}:"
    yield from (f"    {line}" for line in last)
    more = [sys.executable, "-m", "nodectl", "logs", service, "--root", spec.node_roots[node]]
    yield f"  more: {shlex.join(more)}"


def _elsewhere(spec: ProofSpec, service: str) -> Iterator[str]:
    """Yield a service's log where it is this machine's, and the command that shows it from anywhere."""
    nodes = {instance.service: instance.node for instance in spec.instances} | spec.headless
    node = nodes.get(service)
    if not (spec.stack and node):
        yield f"  more: the log of {service}, on its node"
        return
    layout = Layout.at(HOST_ROOTS / spec.stack / node)
    if layout.root.is_dir():
        yield last_words(supervision.supervisor(layout), service)
    yield f"  more: {shlex.join(['scripts/node', spec.stack, node, 'logs', service])}"
