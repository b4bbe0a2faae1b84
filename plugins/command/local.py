"""Run a command on this machine."""

import asyncio
import contextlib
import os
import signal
from pathlib import Path

from plugins.command import files
from plugins.command.output import Log, Output, previous_output
from plugins.command.wire import Properties

_GRACE = 5.0
"""Seconds from SIGTERM to SIGKILL when an operation is cancelled."""


async def run(command: str, inputs: Properties, previous: Properties, log: Log) -> Properties:
    """Run `command` to its end; return its output and files. Raises OperationError if it fails."""
    folder = inputs.get("dir") or str(Path.cwd())
    stdin = inputs.get("stdin", "").encode()
    output = Output(command, inputs, log)
    starting = asyncio.create_task(
        asyncio.create_subprocess_exec(
            *(inputs.get("interpreter") or ["/bin/sh", "-c"]),
            command,
            cwd=folder,
            env={**os.environ, **inputs.get("environment", {}), **previous_output(inputs, previous)},
            stdin=asyncio.subprocess.PIPE if stdin else asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            process_group=0,
        )
    )
    try:
        process = await asyncio.shield(starting)
        await asyncio.gather(output.follow(process), _feed(process, stdin))
        status = await process.wait()
    except (OSError, ValueError) as error:
        raise output.failure(error) from error
    except asyncio.CancelledError:
        with contextlib.suppress(OSError, ValueError):
            await _end(await starting)
        raise
    if status:
        raise output.failure(_describe(status))
    return output.result() | files.outputs(folder, inputs)


async def _feed(process: asyncio.subprocess.Process, stdin: bytes) -> None:
    if process.stdin is None:
        return
    # A command may leave its input unread.
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        process.stdin.write(stdin)
        await process.stdin.drain()
    process.stdin.close()


async def _end(process: asyncio.subprocess.Process) -> None:
    """End the whole process group, with everything that the command started in it."""
    os.killpg(process.pid, signal.SIGTERM)
    try:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE)
    finally:
        os.killpg(process.pid, signal.SIGKILL)


def _describe(status: int) -> str:
    if status > 0:
        return f"exit status {status}"
    return f"signal: {(signal.strsignal(-status) or str(-status)).lower()}"
