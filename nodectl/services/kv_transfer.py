"""Check that a worker moves KV blocks by the backend that it was told to: NIXL falls back in silence.

Requests are answered all the same then, and wait tens of times as long for their first token.
"""

import re
import subprocess
from typing import Final

from nodectl.common.errors import NodectlError, TimedOutError
from nodectl.common.waiting import Wait
from nodectl.contract.probe import Transfer
from nodectl.services import health
from nodectl.supervisors.systemd import systemctl
from nodectl.supervisors.unitfile import PREFIX, unit_files

_JOURNAL_SECONDS: Final = 60
_LAST_LINES: Final = 8
_SILENT: Final = "its log says nothing about transfers"
_ABOUT: Final = re.compile(r"nixl|libfabric|\bUCX\b|\befa\b", re.IGNORECASE)


def see(node: str, transfer: Transfer) -> None:
    """Wait for the worker to be healthy, and see its backend in the log of its present life.

    Raises `NodectlError`, with what the log says about transfers, where it has another.
    """
    message = f"{transfer.service} on {node} was not healthy within {transfer.seconds} s"
    wait = Wait(transfer.service, transfer.seconds, interval=1.0, failure=lambda _: TimedOutError(message))
    wait.until(lambda: health.answers(transfer.health))
    lines = _log(_unit(node, transfer.service))
    if any(f"Backend {transfer.backend} was instantiated" in line for line in lines):
        return
    transfer_lines = [line for line in lines if _ABOUT.search(line)][-_LAST_LINES:]
    raise NodectlError(
        f"{transfer.service} on {node} serves, but moves KV blocks without {transfer.backend}: slowly, over "
        "TCP. See that this machine has EFA interfaces (`fi_info -p efa`) and NIXL's plugin all its "
        "libraries, or "
        + "\n".join(
            ["write `efa: false` below `target`", *(f"    {line}" for line in transfer_lines or [_SILENT])]
        )
    )


def _unit(node: str, service: str) -> str:
    """Return the unit of a service; its stack is not known here, and a machine of a cloud is one stack's."""
    for path in unit_files():
        if path.name.startswith(f"{PREFIX}.") and path.name.endswith(f".{node}.{service}.service"):
            return path.name
    raise NodectlError(f"{service} of {node} has no unit on this host; run `pulumi up` again")


def _log(unit: str) -> list[str]:
    """Return what a unit printed since its last start."""
    invocation = systemctl("show", "--property=InvocationID", "--value", "--", unit).strip()
    command = ["journalctl", "--quiet", "--no-pager", "--output=cat", f"_SYSTEMD_INVOCATION_ID={invocation}"]
    try:
        completed = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_JOURNAL_SECONDS, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise NodectlError(f"journalctl took more than {_JOURNAL_SECONDS} s") from error
    if completed.returncode:
        raise NodectlError(f"journalctl failed with {completed.returncode}: {completed.stderr.strip()}")
    return completed.stdout.splitlines()
