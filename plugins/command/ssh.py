"""SSH connections, one for each distinct `connection` input, shared by all operations on its host."""

import asyncio
import functools
import itertools
import json
import os
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import asyncssh

from plugins.command.output import Log, OperationError
from plugins.command.wire import Properties

T = TypeVar("T")

_KEEPALIVE = 30
"""Seconds between probes of a silent host; it counts as lost after three without a reply."""

_Dialling = asyncio.Task[asyncssh.SSHClientConnection]

_shared: dict[str, _Dialling] = {}


async def use(
    connection: Properties, log: Log, session: Callable[[asyncssh.SSHClientConnection], Awaitable[T]]
) -> T:
    """Open a session over the shared connection to a host, or over a new one if that is lost or full.

    sshd limits both new connections (MaxStartups) and sessions of one connection (MaxSessions).
    """
    key = json.dumps(connection, sort_keys=True)
    while True:
        dialling = _shared.get(key)
        is_new = dialling is None
        if dialling is None:
            dialling = _shared[key] = asyncio.create_task(_dial(connection, log))
            dialling.add_done_callback(functools.partial(_forget_failed, key))
        client = await asyncio.shield(dialling)
        try:
            return await session(client)
        except asyncssh.Error as error:
            if _shared.get(key) is dialling:
                del _shared[key]
            # Only a session that was never opened may be tried again.
            if is_new or not _never_opened(error):
                raise OperationError(f"{connection['host']} opens no session: {error}") from error


def _forget_failed(key: str, dialling: _Dialling) -> None:
    if dialling.cancelled() or dialling.exception():
        del _shared[key]


def _never_opened(error: asyncssh.Error) -> bool:
    return isinstance(error, asyncssh.ChannelOpenError) and error.code in (
        asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED,
        asyncssh.OPEN_CONNECT_FAILED,
        asyncssh.OPEN_RESOURCE_SHORTAGE,
    )


async def _dial(connection: Properties, log: Log) -> asyncssh.SSHClientConnection:
    proxy = connection.get("proxy")
    if proxy is None:
        return await _dial_host(connection, log, "Dial", None)
    tunnel = await _dial_host(proxy, log, "Dial proxy", None)
    return await _dial_host(connection, log, "Dial from proxy", tunnel)


async def _dial_host(
    host: Properties, log: Log, action: str, tunnel: asyncssh.SSHClientConnection | None
) -> asyncssh.SSHClientConnection:
    options = await _options(host)
    limit = int(host.get("dialErrorLimit", 10))
    for attempt in itertools.count():
        try:
            return await asyncssh.connect(tunnel=tunnel, **options)
        except (OSError, asyncssh.Error) as error:
            if 0 <= limit <= attempt:
                raise OperationError(f"{host['host']}: after {attempt} failed attempts: {error}") from error
            await log(f"{action} {attempt + 1}/{'inf' if limit < 0 else limit} failed: retrying")
            await asyncio.sleep(min(0.1 * 1.5**attempt, 5))
    raise AssertionError("the attempts end by returning or raising")


async def _options(host: Properties) -> dict[str, Any]:
    """Return the arguments of `asyncssh.connect`; the user's own SSH configuration is not used."""
    try:
        return {
            "host": host["host"],
            "port": int(host.get("port", 22)),
            "username": host.get("user", "root"),
            "password": host.get("password"),
            "client_keys": await _client_keys(host) or None,
            "agent_path": None,
            "known_hosts": _known_hosts(host.get("hostKey")),
            "config": None,
            "connect_timeout": host.get("perDialTimeout", 15) or None,
            "keepalive_interval": _KEEPALIVE,
        }
    except (asyncssh.KeyImportError, OSError) as error:
        raise OperationError(f"cannot use the connection to {host['host']}: {error}") from error


async def _client_keys(host: Properties) -> list[asyncssh.SSHKey | asyncssh.SSHKeyPair]:
    """Return the given private key, else those of the SSH agent."""
    if "privateKey" in host:
        return [asyncssh.import_private_key(host["privateKey"], host.get("privateKeyPassword"))]
    agent_path = host.get("agentSocketPath") or os.environ.get("SSH_AUTH_SOCK")
    if not agent_path:
        return []
    return list(await (await asyncssh.connect_agent(agent_path)).get_keys())


def _known_hosts(key: str | None) -> Any:
    """Return the only trusted host key; None accepts any, as the official provider does."""
    return None if key is None else ([asyncssh.import_public_key(key)], [], [])
