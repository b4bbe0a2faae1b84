"""Remove the lock and the programs that an engine leaves on this machine when it is killed."""

import contextlib
import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import psutil

from account.fleet import PROJECT
from program.backend import recorded

ENGINE: Final = "pulumi"
"""Name of the CLI's process, which is the engine."""


def unlock(stack: str) -> None:
    """End what killed engines of this machine left: their programs and their locks."""
    for process in abandoned(Path.cwd()):
        with contextlib.suppress(psutil.NoSuchProcess):  # a program may end with its host
            process.kill()
    state = state_folder()
    if state is not None:
        for lock in stale_locks(state, stack, os.uname().nodename):
            lock.unlink()
            print(f"unlocked   {stack}: the process that held its lock is gone", file=sys.stderr)


def stale_locks(state: Path, stack: str, hostname: str) -> list[Path]:
    """Return the stack's lock files whose process ran on this machine and is no more.

    A lock names process, host and time; a process that started after the lock was written is another one
    with the same number.
    """
    stale_files = []
    for lock in state.glob(f".pulumi/locks/organization/{PROJECT}/{stack}/*.json"):
        content = json.loads(lock.read_text(encoding="utf-8"))
        if content["hostname"] == hostname and not _runs(
            content["pid"], datetime.fromisoformat(content["timestamp"])
        ):
            stale_files.append(lock)
    return stale_files


def abandoned(project: Path) -> list[psutil.Process]:
    """Return the project's programs and their hosts whose engine was killed: they wait for it for ever."""
    return [process for process in psutil.process_iter() if _is_abandoned(process, project)]


def state_folder() -> Path | None:
    """Return the folder that the file backend keeps state in; None with another backend."""
    url = urlsplit(os.environ.get("PULUMI_BACKEND_URL") or recorded() or "")
    return Path(unquote(url.path)) if url.scheme == "file" else None


def _runs(pid: int, lock_time: datetime) -> bool:
    """Return whether the process that locked lives; one that only waits for its parent to notice does not."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= lock_time.timestamp()
    except psutil.NoSuchProcess:
        return False


def _is_abandoned(process: psutil.Process, project: Path) -> bool:
    try:
        return (
            any("pulumi-language-python" in argument for argument in process.cmdline()[:2])
            and Path(process.cwd()) == project
            and not any(ancestor.name() == ENGINE for ancestor in process.parents())
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False
