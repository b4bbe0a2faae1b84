"""The output of a command: kept for the resource's outputs, and shown line by line while it runs."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from plugins.command.wire import Properties

Log = Callable[[str], Awaitable[None]]
"""Shows one line at the resource in the engine's display."""

STREAMS = ("stdout", "stderr")

_CHUNK = 1 << 16


class OperationError(Exception):
    """An operation failed; the text is for the user."""


def previous_output(inputs: Properties, previous: Properties) -> dict[str, str]:
    """Return environment variables that pass a command the output of the resource's previous command."""
    if inputs.get("addPreviousOutputInEnv") is False:
        return {}
    return {f"PULUMI_COMMAND_{name.upper()}": previous[name] for name in STREAMS if previous.get(name)}


class Output:
    """Output of one run of `command`, from its start to its end."""

    def __init__(self, command: str, inputs: Properties, log: Log) -> None:
        self._command = command
        self._logging = inputs.get("logging", "stdoutAndStderr")
        self._log = log
        self._printed = {name: bytearray() for name in STREAMS}
        self._interleaved = bytearray()

    async def follow(self, process: object) -> None:
        """Read the streams `stdout` and `stderr` of a process of asyncio or asyncssh to their end."""
        await asyncio.gather(*(self._take(name, getattr(process, name).read) for name in STREAMS))

    async def _take(self, name: str, read: Callable[[int], Awaitable[bytes]]) -> None:
        is_logged = self._logging in (name, "stdoutAndStderr")
        unfinished = b""
        while chunk := await read(_CHUNK):
            self._printed[name] += chunk
            self._interleaved += chunk
            if is_logged:
                *lines, unfinished = (unfinished + chunk).split(b"\n")
                for line in lines:
                    await self._log(_text(line).rstrip("\r"))
        if unfinished:
            await self._log(_text(unfinished))

    def result(self) -> Properties:
        """Return both streams as outputs of the resource, each without its last newline."""
        return {name: _text(printed).removesuffix("\n") for name, printed in self._printed.items()}

    def failure(self, reason: object) -> OperationError:
        """Return the error of a failed command: the reason, the command, and all that it printed."""
        command = json.dumps(self._command, ensure_ascii=False)
        return OperationError(f"{reason}: running {command}:\n{_text(self._interleaved)}")


def _text(data: bytes | bytearray) -> str:
    return data.decode(errors="replace")
