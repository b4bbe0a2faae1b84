"""Run a command on another host."""

import asyncio
from collections.abc import Mapping
from typing import cast

import asyncssh
from asyncssh.packet import String

from plugins.command import ssh
from plugins.command.output import Log, OperationError, Output, previous_output
from plugins.command.wire import Properties

_WINDOW = 1 << 21
_PACKET = 1 << 15


async def run(command: str, inputs: Properties, previous: Properties, log: Log) -> Properties:
    """Run `command` to its end; return its output. Raises OperationError if it fails."""
    connection = inputs["connection"]
    output = Output(command, inputs, log)

    async def start(client: asyncssh.SSHClientConnection) -> asyncssh.SSHClientProcess[bytes]:
        channel = _Channel(client, inputs.get("environment", {}), previous_output(inputs, previous), log)
        return await channel.start(command)

    process = await ssh.use(connection, log, start)
    try:
        process.stdin.write(inputs.get("stdin", "").encode())
        process.stdin.write_eof()
        await output.follow(process)
        await process.wait_closed()
    except (OSError, asyncssh.Error) as error:
        raise output.failure(f"lost {connection['host']}: {error}") from error
    except asyncio.CancelledError:
        process.terminate()  # its whole process group, by sshd
        process.close()
        raise
    if process.exit_status != 0:
        raise output.failure(_describe(process))
    return output.result()


def _describe(process: asyncssh.SSHClientProcess[bytes]) -> str:
    if process.exit_signal:
        return f"Process exited with signal {process.exit_signal[0]}"
    if process.exit_status is None:
        return "remote command exited without exit status or exit signal"
    return f"Process exited with status {process.exit_status}"


class _Channel(asyncssh.SSHClientChannel[bytes]):
    """A session that runs its command only once the host has accepted the environment.

    asyncssh itself requests no reply to its environment requests, so that sshd's AcceptEnv would drop
    variables in silence.
    """

    def __init__(
        self,
        client: asyncssh.SSHClientConnection,
        environment: Mapping[str, str],
        optional: Mapping[str, str],
        log: Log,
    ) -> None:
        super().__init__(client, asyncio.get_running_loop(), "strict", None, "strict", _WINDOW, _PACKET)
        self._environment = environment
        self._optional = optional
        self._log = log

    async def start(self, command: str) -> asyncssh.SSHClientProcess[bytes]:
        """Open the session and start `command` in it, without a terminal and with nothing forwarded."""
        session = await self.create(
            asyncssh.SSHClientProcess,
            command,
            subsystem=None,
            env={},
            request_pty=False,
            term_type=None,
            term_size=None,
            term_modes={},
            x11_forwarding=False,
            x11_display=None,
            x11_auth_path=None,
            x11_single_connection=False,
            agent_forwarding=False,
        )
        return cast("asyncssh.SSHClientProcess[bytes]", session)

    async def _make_request(self, request: bytes, *args: bytes) -> bool | None:
        if request == b"exec":
            rejected = await self._rejected(self._environment)
            if rejected:
                self.close()
                raise OperationError(
                    f'could not set environment variable "{rejected[0]}": the AcceptEnv of the SSH server '
                    f"does not name it; let it, or start the command with `{rejected[0]}=value`"
                )
            for name in await self._rejected(self._optional):
                await self._log(f"Unable to set {name}: the AcceptEnv of the SSH server does not name it")
        return await super()._make_request(request, *args)

    async def _rejected(self, environment: Mapping[str, str]) -> list[str]:
        request = super()._make_request
        requests = (request(b"env", String(name), String(value)) for name, value in environment.items())
        replies = await asyncio.gather(*requests)
        return [name for name, accepted in zip(environment, replies, strict=True) if not accepted]
