"""The provider's gRPC server for Pulumi's engine. It prints only its port.

Protocol: `proto/pulumi/provider.proto` of Pulumi's SDK. Running operations are cancelled when the engine
requests it, when this process gets SIGINT or SIGTERM, and when the engine is gone.
"""
# ruff: noqa: N802, ARG002 -- the protocol names the methods and their arguments

import asyncio
import contextlib
import os
import secrets
import signal
import sys
from collections.abc import Coroutine
from typing import Any, NoReturn, TypeVar

import grpc  # type: ignore[import-untyped]
from google.protobuf.empty_pb2 import Empty

from plugins.command import local, wire
from plugins.command.output import Log, OperationError
from plugins.command.protocol import (
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
)
from plugins.command.resources import RESOURCES, Command, CopyToRemote

VERSION = "1.2.1"
"""Version of pulumi-command that this provider stands in for."""

_UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]

T = TypeVar("T")
Context = Any
"""A `grpc.aio.ServicerContext`: grpc ships no types."""


class Provider(provider_pb2_grpc.ResourceProviderServicer):
    """Serves the resource types of `RESOURCES` and the function `command:local:run`."""

    def __init__(self, engine_address: str) -> None:
        channel = grpc.aio.insecure_channel(engine_address, options=_UNLIMITED)
        self._engine = engine_pb2_grpc.EngineStub(channel)
        self._running: set[asyncio.Task[Any]] = set()

    async def Handshake(self, request: Any, context: Context) -> Any:
        return provider_pb2.ProviderHandshakeResponse()

    async def GetPluginInfo(self, request: Empty, context: Context) -> Any:
        return plugin_pb2.PluginInfo(version=VERSION)

    async def CheckConfig(self, request: Any, context: Context) -> Any:
        return provider_pb2.CheckResponse(inputs=request.news)

    async def DiffConfig(self, request: Any, context: Context) -> Any:
        return provider_pb2.DiffResponse()

    async def Configure(self, request: Any, context: Context) -> Any:
        return provider_pb2.ConfigureResponse(supportsPreview=True)

    async def Cancel(self, request: Empty, context: Context) -> Empty:
        self.cancel()
        return Empty()

    def cancel(self) -> None:
        """Cancel all running operations."""
        for task in self._running:
            task.cancel()

    async def Check(self, request: Any, context: Context) -> Any:
        resource = await _resource(request.type, context)
        failures = resource.check(wire.read(request.news))
        return provider_pb2.CheckResponse(
            inputs=request.news,
            failures=[
                provider_pb2.CheckFailure(property=name, reason=reason) for name, reason in failures.items()
            ],
        )

    async def Diff(self, request: Any, context: Context) -> Any:
        changed = wire.changed(request.old_inputs, request.news)
        changes, no_changes = provider_pb2.DiffResponse.DIFF_SOME, provider_pb2.DiffResponse.DIFF_NONE
        return provider_pb2.DiffResponse(
            changes=changes if changed else no_changes,
            diffs=changed,
            replaces=[name for name in changed if name == "triggers"],
        )

    async def Create(self, request: Any, context: Context) -> Any:
        resource, inputs = await _resource(request.type, context), wire.read(request.properties)
        if request.preview:
            return provider_pb2.CreateResponse(properties=wire.write(resource.preview(inputs)))
        state = await self._run(resource.create(inputs, self._log(request.urn)), request.timeout, context)
        return provider_pb2.CreateResponse(
            id=request.name + secrets.token_hex(4), properties=wire.write(state)
        )

    async def Update(self, request: Any, context: Context) -> Any:
        resource = await _resource(request.type, context)
        old, inputs = wire.read(request.olds), wire.read(request.news)
        if request.preview:
            return provider_pb2.UpdateResponse(properties=wire.write(resource.preview(inputs)))
        operation = resource.update(old, inputs, self._log(request.urn))
        state = await self._run(operation, request.timeout, context)
        return provider_pb2.UpdateResponse(properties=wire.write(state))

    async def Delete(self, request: Any, context: Context) -> Empty:
        resource, state = await _resource(request.type, context), wire.read(request.properties)
        await self._run(resource.delete(state, self._log(request.urn)), request.timeout, context)
        return Empty()

    async def Read(self, request: Any, context: Context) -> Any:
        return provider_pb2.ReadResponse(id=request.id, properties=request.properties, inputs=request.inputs)

    async def Invoke(self, request: Any, context: Context) -> Any:
        if request.tok != "command:local:run":
            await _refuse(request.tok, context)
        inputs = wire.read(request.args)
        outputs = await self._run(local.run(inputs["command"], inputs, {}, self._log("")), 0, context)
        return provider_pb2.InvokeResponse(**{"return": wire.write(inputs | outputs)})  # type: ignore[arg-type]

    def _log(self, urn: str) -> Log:
        async def log(line: str) -> None:
            entry = engine_pb2.LogRequest(
                severity=engine_pb2.LogSeverity.INFO, message=line, urn=urn, ephemeral=True
            )
            # A display that is gone must not fail the command.
            with contextlib.suppress(grpc.RpcError):
                await self._engine.Log(entry)

        return log

    async def _run(self, operation: Coroutine[Any, Any, T], seconds: float, context: Context) -> T:
        """Run one operation, which Cancel or its time limit (0: none) may end."""
        task = asyncio.create_task(operation)
        self._running.add(task)
        try:
            async with asyncio.timeout(seconds or None):
                return await task
        except OperationError as error:
            code, text = grpc.StatusCode.UNKNOWN, str(error)
        except TimeoutError:
            code, text = grpc.StatusCode.DEADLINE_EXCEEDED, f"not done after {seconds:g} seconds"
        except asyncio.CancelledError:
            code, text = grpc.StatusCode.CANCELLED, "cancelled"
        finally:
            self._running.discard(task)
        return await _abort(context, code, text)


async def _resource(token: str, context: Context) -> Command | CopyToRemote:
    if token not in RESOURCES:
        await _refuse(token, context)
    return RESOURCES[token]


async def _refuse(token: str, context: Context) -> NoReturn:
    text = f"the offline command provider does not serve {token}: install pulumi-command {VERSION} itself"
    await _abort(context, grpc.StatusCode.UNIMPLEMENTED, text)


async def _abort(context: Context, code: Any, text: str) -> NoReturn:
    await context.abort(code, text)
    raise AssertionError("abort raises")


async def _engine_gone() -> None:
    engine = os.getppid()
    while os.getppid() == engine:  # noqa: ASYNC110 -- no event tells it
        await asyncio.sleep(1)


async def _serve(engine_address: str) -> None:
    server = grpc.aio.server(options=_UNLIMITED)
    provider = Provider(engine_address)
    provider_pb2_grpc.add_ResourceProviderServicer_to_server(provider, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    print(port, flush=True)

    end = asyncio.create_task(_engine_gone())
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, end.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await end
    provider.cancel()
    await server.stop(grace=10)


def main() -> None:
    """Serve until the engine ends or cancels; the engine's address is the last argument."""
    asyncio.run(_serve(sys.argv[-1]))
