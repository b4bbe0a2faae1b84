"""Copy a file, a folder or a text to another host by SFTP. Modes are not kept, nothing is removed."""

import posixpath
from pathlib import Path

import asyncssh

from plugins.command import ssh
from plugins.command.output import Log, OperationError
from plugins.command.wire import Properties


async def copy(inputs: Properties, log: Log) -> None:
    """Copy the `source` of `inputs` to their `remotePath`. Raises OperationError if it fails."""
    connection, source, target = inputs["connection"], inputs["source"], inputs["remotePath"]
    sftp = await ssh.use(connection, log, lambda client: client.start_sftp_client())
    try:
        async with sftp:
            if "path" in source:
                await _copy_path(sftp, source["path"], target)
            else:
                await _copy_text(sftp, source.get("text", ""), target)
    except (OSError, asyncssh.Error) as error:
        raise OperationError(f"cannot copy to {connection['host']}:{target}: {error}") from error


async def _copy_path(sftp: asyncssh.SFTPClient, path: str, target: str) -> None:
    sources, folder = _sources(path, target)
    await _make_folder(sftp, folder)
    await sftp.put(sources, target, recurse=True, follow_symlinks=True)


def _sources(path: str, target: str) -> tuple[Path | list[Path], str]:
    """Return the sources to copy, and the folder that must exist before.

    `dir` goes to `target/dir`, the content of `dir/` into `target`, a file to `target` or into that folder.
    """
    source = Path(path)
    if not source.is_dir():
        return source, posixpath.dirname(target)
    return sorted(source.iterdir()) if path.endswith("/") else source, target


async def _copy_text(sftp: asyncssh.SFTPClient, text: str, target: str) -> None:
    if await sftp.isdir(target):
        raise OperationError(f"remote path {target} is a directory: a text needs the path of a file")
    await _make_folder(sftp, posixpath.dirname(target))
    async with sftp.open(target, "wb") as file:
        await file.write(text.encode())


async def _make_folder(sftp: asyncssh.SFTPClient, folder: str) -> None:
    if folder:
        await sftp.makedirs(folder, exist_ok=True)
