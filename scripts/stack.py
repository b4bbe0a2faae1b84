"""What the scripts do with a stack beyond one `pulumi` command: stale locks, live proof, taking down.

Run from the project folder, in the shell that `scripts/env` sets up.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil
import yaml

from planning.rehearsal import rehearsal
from settings.problems import StackFileError
from settings.reading import read_stack_file

REHEARSAL = "rehearse-"
SALT = "v1:3UIMD+y8dxE=:v1:N2Ho5jONoxFAgkwD:8uPqNWjG5+PrcolqnWkA+Ry83+5BSg=="
"""Made with the documented passphrase `dynamo`; the local stack files carry it, so that they never change."""


def stale_locks(state: Path, stack: str, hostname: str) -> list[Path]:
    """Return the stack's lock files whose process ran on this machine and is no more.

    A lock names process, host and time; a process that started after the lock was written is another one
    with the same number.
    """
    stale = []
    for lock in state.glob(f".pulumi/locks/**/{stack}/*.json"):
        held = json.loads(lock.read_text(encoding="utf-8"))
        if held["hostname"] == hostname and not _runs(held["pid"], datetime.fromisoformat(held["timestamp"])):
            stale.append(lock)
    return stale


def _runs(pid: int, locked: datetime) -> bool:
    """Return whether the process that locked lives; one that only waits for its parent to notice does not."""
    try:
        process = psutil.Process(pid)
        return process.status() != psutil.STATUS_ZOMBIE and process.create_time() <= locked.timestamp()
    except psutil.NoSuchProcess:
        return False


def proof_spec(deployment: Mapping[str, Any]) -> str | None:
    """Return what the last `up` proved, from an exported stack; None when nothing was proved."""
    for resource in deployment["deployment"].get("resources", []):
        if resource["urn"].endswith("Command::proof"):
            return str(resource["inputs"]["stdin"])
    return None


def abandoned_programs(project: Path, stack: str) -> list[psutil.Process]:
    """Return the stack's programs whose engine was killed: they wait for its answers for ever."""
    return [process for process in psutil.process_iter() if _is_abandoned(process, project, stack)]


def _is_abandoned(process: psutil.Process, project: Path, stack: str) -> bool:
    try:
        arguments = process.cmdline()
        return (
            any(argument.endswith("pulumi-language-python-exec") for argument in arguments)
            and {str(project), stack} <= set(arguments)
            and not any(one.name().startswith("pulumi") for one in (process, *process.parents()))
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def unlock(stack: str) -> int:
    """End what killed engines of this machine left: their programs and their locks."""
    for program in abandoned_programs(Path.cwd(), stack):
        program.kill()
    state = _state()
    if state is not None:
        for lock in stale_locks(state, stack, os.uname().nodename):
            lock.unlink()
            print(f"unlocked   {stack}: the process that held its lock is gone", file=sys.stderr)
    return 0


def prove(stack: str) -> int:
    """Prove the stack again, live."""
    exported = _pulumi("stack", "export", "--stack", stack)
    spec = None if exported is None else proof_spec(json.loads(exported))
    if spec is None:
        print(
            f"stack {stack}: nothing was proved yet; bring it up with `scripts/up {stack}`", file=sys.stderr
        )
        return 1
    proof = [sys.executable, "-m", "nodectl", "proof", "--human"]
    return subprocess.run(proof, input=spec, text=True, check=False).returncode


def ready(stack: str) -> int:
    """Say where the model answers, how to try it and how to undo it."""
    exported = _pulumi("stack", "export", "--stack", stack)
    spec = json.loads(proof_spec(json.loads(exported or "{}")) or "{}")
    request = {"model": spec["model"], "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}
    url = f"{spec['endpoint']}/v1/chat/completions"
    print(f"ready      {spec['endpoint']}  model {spec['model']}")
    print(f"try        curl -s {url} -H 'Content-Type: application/json' -d '{json.dumps(request)}'")
    print(f"undo       scripts/down {stack}")
    return 0


def down(stack: str) -> int:
    """Destroy the stack, and whatever a killed run left of its local nodes."""
    if _pulumi("stack", "export", "--stack", stack) is not None:
        destroyed = subprocess.run(
            ["pulumi", "destroy", "--stack", stack, "--yes", "--skip-preview"], check=False
        )
        if destroyed.returncode:
            return destroyed.returncode
        subprocess.run(["pulumi", "stack", "rm", "--stack", stack, "--yes", "--preserve-config"], check=True)
    for root in sorted(Path(".run", stack).glob("*/")):
        subprocess.run([sys.executable, "-m", "nodectl", "remove", "--root", str(root)], check=True)
    shutil.rmtree(Path(".run", stack), ignore_errors=True)
    if Path(".run").is_dir() and not list(Path(".run").iterdir()):
        Path(".run").rmdir()
    if stack.startswith(REHEARSAL):
        _stack_file(stack).unlink(missing_ok=True)
    return _forget(stack)


def _state() -> Path | None:
    """Return the folder that the file backend keeps state in; None with another backend."""
    backend = urlsplit(os.environ.get("PULUMI_BACKEND_URL", ""))
    return Path(unquote(backend.path)) if backend.scheme == "file" else None


def _forget(stack: str) -> int:
    """Remove what Pulumi keeps of a removed stack in the project's own state: backups and history."""
    if _state() != Path(".state").resolve():
        return 0
    state = Path(".state/.pulumi")
    for path in [*state.glob(f"stacks/**/{stack}.json*"), *state.glob(f"*/**/{stack}/")]:
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    if not list(state.glob("stacks/**/*.json")):
        shutil.rmtree(state)  # its parent stays: shells that scripts/env set up name it
    return 0


def rehearse(stack: str) -> int:
    """Write the stack file of the rehearsal of `stack`."""
    try:
        config = rehearsal(read_stack_file(_stack_file(stack)))
    except StackFileError as error:
        print(f"{_stack_file(stack)}\n{error}", file=sys.stderr)
        return 2
    document = {"encryptionsalt": SALT, "config": config}
    _stack_file(REHEARSAL + stack).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return 0


def _stack_file(stack: str) -> Path:
    return Path("stacks", f"Pulumi.{stack}.yaml")


def _pulumi(*arguments: str) -> str | None:
    """Return what a pulumi command printed; None when it failed."""
    done = subprocess.run(["pulumi", *arguments], capture_output=True, text=True, check=False)
    return done.stdout if done.returncode == 0 else None


COMMANDS: Mapping[str, Callable[[str], int]] = {
    "unlock": unlock,
    "prove": prove,
    "ready": ready,
    "down": down,
    "rehearse": rehearse,
}

if __name__ == "__main__":
    sys.exit(COMMANDS[sys.argv[1]](sys.argv[2]))
