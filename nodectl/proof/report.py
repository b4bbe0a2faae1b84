"""Puts a proof into words: the table of its checks, and what a failed one leaves to look at."""

import shlex
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from nodectl.common import disk
from nodectl.common.layout import HOST_ROOTS, Layout
from nodectl.contract.proof import ProofResult, ProofSpec
from nodectl.services import excerpt, supervision
from nodectl.services.excerpt import last_words

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
    """Return what failed, what the logs of the services to blame say of it, and how to see more."""
    failed_check = result.checks[-1]
    lines = [f"proof failed at {failed_check.name} after {failed_check.seconds:.1f} s: {failed_check.seen}"]
    lines += [f"  {place}" for place in disk.shortages(_folders_here(spec))]
    for service in list(dict.fromkeys(blame))[:LOGS]:
        lines += _log(spec, service)
    return "\n".join(lines)


def _folders_here(spec: ProofSpec) -> list[Path]:
    """Return the folders of the stack's nodes on this machine: all local ones, and a host's own."""
    if spec.stack:
        return sorted(path for path in (HOST_ROOTS / spec.stack).glob("*") if path.is_dir())
    return [Path(root) for root in spec.node_roots.values()]


def _log(spec: ProofSpec, service: str) -> Iterator[str]:
    logs = {node: Layout.at(root).log(service) for node, root in spec.node_roots.items()}
    mtimes = {node: log.stat().st_mtime for node, log in logs.items() if log.is_file()}
    if not mtimes:
        yield from _elsewhere(spec, service)
        return
    node = max(mtimes, key=lambda name: mtimes[name])  # a service that moved left its old log behind
    yield from excerpt.of_file(logs[node], f"{service} on {node}")
    command = [sys.executable, "-m", "nodectl", "logs", service, "--root", spec.node_roots[node]]
    yield f"  more: {shlex.join(command)}"


def _elsewhere(spec: ProofSpec, service: str) -> Iterator[str]:
    """Yield a service's log where it is this machine's, and the command that shows it from anywhere.

    Stores, frontend and balancer are no instances: those of the machine that proves are looked for here.
    """
    nodes = {instance.service: instance.node for instance in spec.instances}
    for instance in spec.instances:
        nodes |= instance.headless
    node = nodes.get(service)
    layouts = [Layout.at(root) for root in _folders_here(spec) if node in (None, root.name)]
    for layout in layouts if spec.stack else ():
        supervisor = supervision.supervisor(layout)
        if node or service in supervisor.logged():
            yield last_words(supervisor, service)
            node = layout.root.name
            break
    if not (spec.stack and node):
        yield f"  more: the log of {service}, on its node"
        return
    yield f"  more: {shlex.join(['scripts/node', spec.stack, node, 'logs', service])}"
