"""`nodectl probe`: shows that a node reaches every port that it needs, or says which it does not, and why.

On machines with EFA it then shows that workers move KV blocks over it. It is quick: every `up` of
many nodes waits for it on each.

A refused connection counts as reached: the way is open, and what should listen there is the proof's to judge.
"""

import json
import socket
import sys
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from nodectl.common.commandline import CommandLine
from nodectl.common.errors import NodectlError
from nodectl.common.waiting import Wait
from nodectl.contract import codec
from nodectl.contract.probe import ProbeSpec, ProbeTarget

_TRY_SECONDS: Final = 3.0
_AT_ONCE: Final = 64


def main(argv: Sequence[str]) -> int:
    """Try to connect to all that the spec on standard input names; print how many there were."""
    CommandLine(prog="nodectl probe", description=main.__doc__).parse_args(argv)
    spec = codec.read(ProbeSpec, sys.stdin.read(), "a probe spec")
    if closed := probe(spec.targets, spec.seconds):
        raise NodectlError(explain(spec, closed))
    if spec.transfers:
        from nodectl.services import kv_transfer  # noqa: PLC0415 - few nodes have any, and all wait for what it loads

        for transfer in spec.transfers:
            kv_transfer.see(spec.node, transfer)
    print(json.dumps({"reached": len(spec.targets)}))
    return 0


def probe(targets: Sequence[ProbeTarget], seconds: float) -> Mapping[ProbeTarget, str]:
    """Return the targets that cannot be reached, each with the reason; those are tried for `seconds`."""
    closed: dict[ProbeTarget, str] = dict.fromkeys(targets, "")

    def all_open() -> bool:
        nonlocal closed
        troubles = pool.map(_trouble, closed)
        closed = {target: reason for target, reason in zip(closed, troubles, strict=True) if reason}
        return not closed

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        Wait("open ports", seconds, interval=0.5).holds(all_open)
    return closed


def explain(spec: ProbeSpec, closed: Mapping[ProbeTarget, str]) -> str:
    """Return what is closed, for whom and why, in one text."""
    width = max(len(f"{target.node} {target.endpoint}") for target in closed)
    lines = (
        f"  {f'{target.node} {target.endpoint}':<{width}}  {reason}; for: {target.why}"
        for target, reason in closed.items()
    )
    return "\n".join(
        [
            f"{spec.node} cannot reach {len(closed)} of {_counted(spec.targets)} that it needs:",
            *lines,
            "open them between these machines (docs/ports.md), or let `firewall: manage` do it on each",
        ]
    )


def _counted(targets: Iterable[ProbeTarget]) -> str:
    count = len(list(targets))
    return f"{count} {'port' if count == 1 else 'ports'}"


def _trouble(target: ProbeTarget) -> str:
    """Return what keeps a connection from being made; nothing when the way is open."""
    host, _, port = target.endpoint.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=_TRY_SECONDS).close()
    except TimeoutError:
        return f"no answer within {_TRY_SECONDS:.0f} s, as behind a firewall"
    except ConnectionError:
        return ""
    except OSError as error:
        return error.strerror or str(error)
    return ""
