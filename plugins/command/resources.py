"""The provider's operations on each of its resource types, except running and copying.

Inputs and state are property maps; a state is the inputs and the outputs of the same resource.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from plugins.command import local
from plugins.command.output import STREAMS, Log
from plugins.command.wire import ARCHIVE, ASSET, SIGNATURE, UNKNOWN, Properties

Run = Callable[[str, Properties, Properties, Log], Awaitable[Properties]]
"""Runs a command with a resource's inputs and previous outputs, and returns its new outputs."""


@dataclass(frozen=True)
class Command:
    """A resource of up to three commands, for create, update and delete, run by `run`."""

    run: Run

    def check(self, inputs: Properties) -> dict[str, str]:  # noqa: ARG002 -- as every resource
        """Return problems by property: none, since the SDK finds them all."""
        return {}

    def preview(self, inputs: Properties) -> Properties:
        """Return the state after a create or an update, as far as it can be predicted."""
        files = {"assets": "assetPaths", "archive": "archivePaths"}
        unknown = [*STREAMS, *(name for name, paths in files.items() if paths in inputs)]
        return inputs | dict.fromkeys(unknown, UNKNOWN)

    async def create(self, inputs: Properties, log: Log) -> Properties:
        """Run `create`, if there is one."""
        return await self._apply(inputs.get("create"), inputs, dict.fromkeys(STREAMS, ""), log)

    async def update(self, state: Properties, inputs: Properties, log: Log) -> Properties:
        """Run `update`, else `create`, else nothing."""
        outputs: Properties = {n: state[n] for n in (*STREAMS, "assets", "archive") if n in state}
        return await self._apply(inputs.get("update", inputs.get("create")), inputs, outputs, log)

    async def delete(self, state: Properties, log: Log) -> None:
        """Run `delete` as it is in the state, if there is one."""
        await self._apply(state.get("delete"), state, state, log)

    async def _apply(
        self, command: str | None, inputs: Properties, previous: Properties, log: Log
    ) -> Properties:
        outputs = {} if command is None else await self.run(command, inputs, previous, log)
        return inputs | previous | outputs


class CopyToRemote:
    """Files copied to a host, again whenever they or their path change; never removed there."""

    def check(self, inputs: Properties) -> dict[str, str]:
        """Return problems by property."""
        source = inputs["source"]
        if source == UNKNOWN:
            return {}
        problem = {
            ASSET: "uri" in source and "asset must be a path-based file asset or a text asset",
            ARCHIVE: "path" not in source and "archive must be a path to a file or directory",
        }.get(source.get(SIGNATURE), "either asset or archive must be set")
        return {"source": problem} if problem else {}

    def preview(self, inputs: Properties) -> Properties:
        """Return the state after a create or an update."""
        return inputs

    async def create(self, inputs: Properties, log: Log) -> Properties:
        """Copy."""
        from plugins.command import upload  # noqa: PLC0415 -- asyncssh takes 0.7 s

        await upload.copy(inputs, log)
        return inputs

    async def update(self, state: Properties, inputs: Properties, log: Log) -> Properties:
        """Copy again if content or path changed."""
        old, new = ((p["source"].get("hash"), p["remotePath"]) for p in (state, inputs))
        return inputs if old == new else await self.create(inputs, log)

    async def delete(self, state: Properties, log: Log) -> None:
        """Leave the copy where it is."""


async def _run_over_ssh(command: str, inputs: Properties, previous: Properties, log: Log) -> Properties:
    from plugins.command import remote  # noqa: PLC0415 -- asyncssh takes 0.7 s

    return await remote.run(command, inputs, previous, log)


RESOURCES: dict[str, Command | CopyToRemote] = {
    "command:local:Command": Command(local.run),
    "command:remote:Command": Command(_run_over_ssh),
    "command:remote:CopyToRemote": CopyToRemote(),
}
"""All resource types, by their token."""
