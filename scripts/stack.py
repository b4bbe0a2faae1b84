"""What the scripts do with a stack beyond one `pulumi` command: stale locks, live proof, taking down.

Run from the project folder, in the shell that `scripts/env` sets up.
"""

import contextlib
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import psutil
import yaml

from account.fleet import PROJECT
from account.login import Login
from account.power import PowerError
from components.backend import UnknownBackendError, backend, recorded
from planning.aws.state import kept_on_this_machine, local_state
from planning.rehearsal import rehearsal
from reach import access as reach_access
from reach.errors import NoAccessError
from scripts import fleet, instances, nodes
from scripts.state import COMMAND, STACK, living
from scripts.toolchain.shell import PASSPHRASE, SALT
from settings.aws import AwsTarget
from settings.problems import StackFileError
from settings.reading import read_stack_file, stack_file

REHEARSAL = "rehearse-"
ENGINE = "pulumi"
"""Name of the CLI's process, which is the engine."""

_NO_SUCH_STACK = 6
"""What the Pulumi CLI exits with when it knows no stack of that name."""


class StackError(Exception):
    """The stack is not such that this can be done with it; the text says what to do."""


def stale_locks(state: Path, stack: str, hostname: str) -> list[Path]:
    """Return the stack's lock files whose process ran on this machine and is no more.

    A lock names process, host and time; a process that started after the lock was written is another one
    with the same number.
    """
    stale = []
    for lock in state.glob(f".pulumi/locks/organization/{PROJECT}/{stack}/*.json"):
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


@dataclass(frozen=True)
class Proved:
    """What the last `up` proved: the command that did it, and its standard input."""

    command: str
    spec: str


def proved(exported: Mapping[str, Any] | None) -> Proved | None:
    """Return what the last `up` proved, from an exported stack; None when nothing was proved."""
    proof = dict(living(exported, COMMAND)).get("proof")
    return None if proof is None else Proved(proof["inputs"]["create"], proof["inputs"]["stdin"])


def abandoned(project: Path) -> list[psutil.Process]:
    """Return the project's programs and their hosts whose engine was killed: they wait for it for ever."""
    return [process for process in psutil.process_iter() if _is_abandoned(process, project)]


def _is_abandoned(process: psutil.Process, project: Path) -> bool:
    try:
        return (
            any("pulumi-language-python" in argument for argument in process.cmdline()[:2])
            and Path(process.cwd()) == project
            and not any(ancestor.name() == ENGINE for ancestor in process.parents())
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def unlock(stack: str) -> int:
    """End what killed engines of this machine left: their programs and their locks."""
    for process in abandoned(Path.cwd()):
        with contextlib.suppress(psutil.NoSuchProcess):  # a program may end with its host
            process.kill()
    state = _state()
    if state is not None:
        for lock in stale_locks(state, stack, os.uname().nodename):
            lock.unlink()
            print(f"unlocked   {stack}: the process that held its lock is gone", file=sys.stderr)
    return 0


def create(stack: str) -> int:
    """Make the stack unless it is there; one that cannot be brought up leaves no trace of the try."""
    _check_state(stack)
    _check_passphrase(stack)
    _check_secrets_provider(stack)
    select = ["pulumi", "stack", "select", "--create", "--stack", stack, *_secrets_provider(stack)]
    subprocess.run(select, stdout=subprocess.DEVNULL, check=True)
    return 0


def _secrets_provider(stack: str) -> list[str]:
    """Return the option that keeps the secrets provider of the stack file, which Pulumi would replace."""
    provider = yaml.safe_load(stack_file(stack).read_text(encoding="utf-8")).get("secretsprovider")
    return ["--secrets-provider", provider] if provider else []


def _check_secrets_provider(stack: str) -> None:
    """Refuse shared state whose secrets the documented passphrase, which everybody knows, would protect."""
    url = os.environ.get("PULUMI_BACKEND_URL") or recorded() or ""
    shared = urlsplit(url).scheme not in ("", "file", "http", "https")  # Pulumi Cloud has keys of its own
    documented = os.environ.get("PULUMI_CONFIG_PASSPHRASE") == PASSPHRASE
    if shared and documented and not _secrets_provider(stack):
        raise StackError(
            f"{stack_file(stack)}: names no secrets provider, and {url} is shared; run "
            f"`scripts/init {stack} --backend {url} --secrets-provider awskms://…` (docs/state.md)"
        )


def _check_state(stack: str) -> None:
    """Refuse state on this machine for a stack on AWS before Pulumi knows of it."""
    target = read_stack_file(stack_file(stack)).target
    if not isinstance(target, AwsTarget) or target.allow_local_state:
        return
    try:
        url = backend()
    except UnknownBackendError as error:
        raise StackError(str(error)) from None
    if kept_on_this_machine(url):
        raise StackError(f"{local_state(url, stack)}. Nothing was created.")


def _check_passphrase(stack: str) -> None:
    """Say what Pulumi does not when a shipped stack file meets a passphrase of the user's own."""
    path = stack_file(stack)
    shipped = path.is_file() and SALT in path.read_text(encoding="utf-8")
    if shipped and os.environ.get("PULUMI_CONFIG_PASSPHRASE", PASSPHRASE) != PASSPHRASE:
        raise StackError(
            f"PULUMI_CONFIG_PASSPHRASE: {path} was made with the passphrase `{PASSPHRASE}`, and another one "
            f"is set; run this with PULUMI_CONFIG_PASSPHRASE={PASSPHRASE}, or remove `encryptionsalt` there"
        )


def prove(stack: str) -> int:
    """Prove the stack again, live; nothing is changed by it."""
    exported = _exported(stack)
    last = _proved(stack, exported)
    _open(stack, exported)
    proof = [*shlex.split(last.command), "--no-retire", "--human"]
    return subprocess.run(proof, input=last.spec, text=True, check=False).returncode


def ready(stack: str) -> int:
    """Say where the model answers, how to try it and how to undo it."""
    exported = _exported(stack)
    spec, endpoint = json.loads(_proved(stack, exported).spec), _outputs(exported)["endpoint"]
    request = {"model": spec["model"], "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16}
    url = f"{endpoint}/v1/chat/completions"
    curl = ["curl", "-s", url, "-H", "Content-Type: application/json", "-d", json.dumps(request)]
    print(f"ready      {endpoint}  model {spec['model']}")
    print(f"try        {shlex.join(curl)}")
    print(f"undo       scripts/down {stack}")
    return 0


def down(stack: str) -> int:
    """Destroy the stack, and whatever a killed run left of its local nodes."""
    run = Path(".run", stack)
    exported = _exported(stack)
    if exported is not None:
        _check_passphrase(stack)
        for command in (["destroy", "--skip-preview"], ["stack", "rm", "--preserve-config"]):
            subprocess.run(["pulumi", *command, "--stack", stack, "--yes"], check=True)
    elif not run.exists():
        print(f"stack {stack} is not up: nothing to take down", file=sys.stderr)
    others = (reach_access.folder_of(stack),)
    for root in (path for path in sorted(run.glob("*/")) if path.suffix != ".removed" and path not in others):
        subprocess.run([sys.executable, "-m", "nodectl", "remove", "--root", str(root)], check=True)
    shutil.rmtree(run, ignore_errors=True)
    if run.parent.is_dir() and not list(run.parent.iterdir()):
        run.parent.rmdir()
    if stack.startswith(REHEARSAL):
        stack_file(stack).unlink(missing_ok=True)
    return _forget(stack)


def _proved(stack: str, exported: dict[str, Any] | None) -> Proved:
    """Return what the stack's last `up` proved; raise StackError when that was nothing."""
    last = proved(exported)
    if last is None:
        raise StackError(f"stack {stack}: nothing was proved yet; bring it up with `scripts/up {stack}`")
    return last


def _exported(stack: str, *options: str) -> dict[str, Any] | None:
    """Return the stack as Pulumi keeps it; None when there is no such stack."""
    export = ["pulumi", "stack", "export", "--stack", stack, *options]
    done = subprocess.run(export, capture_output=True, text=True, check=False)
    if done.returncode == _NO_SUCH_STACK:
        return None
    done.check_returncode()
    exported: dict[str, Any] = json.loads(done.stdout)
    return exported


def _outputs(exported: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the outputs of an exported stack."""
    return next((found.get("outputs", {}) for _, found in living(exported, STACK)), {})


def _open(stack: str, exported: Mapping[str, Any] | None) -> bool:
    """Write how the stack's instances are reached, where it has any; return whether it does."""
    if not instances.runs_any(exported):
        return False
    target = read_stack_file(stack_file(stack)).target
    if not isinstance(target, AwsTarget):
        raise StackError(f"stack {stack} runs instances on AWS and {stack_file(stack)} says {target.kind}")
    instances.keep_access(stack, target, _exported(stack, "--show-secrets"))
    return True


def _state() -> Path | None:
    """Return the folder that the file backend keeps state in; None with another backend."""
    place = urlsplit(os.environ.get("PULUMI_BACKEND_URL") or recorded() or "")
    return Path(unquote(place.path)) if place.scheme == "file" else None


def _forget(stack: str) -> int:
    """Remove what Pulumi keeps of a removed stack in the project's own state: backups and history."""
    if _state() != Path(".state").resolve():
        return 0
    state = Path(".state/.pulumi")
    for folder in ("backups", "history", "locks/organization"):
        shutil.rmtree(state / folder / PROJECT / stack, ignore_errors=True)
    for path in state.glob(f"stacks/{PROJECT}/{stack}.json*"):
        path.unlink()
    if not list(state.glob("stacks/**/*.json")):
        shutil.rmtree(state)  # its parent stays: shells that scripts/env set up name it
    return 0


def rehearse(stack: str) -> int:
    """Write the stack file of the rehearsal of `stack`."""
    document = {"encryptionsalt": SALT, "config": rehearsal(read_stack_file(stack_file(stack)))}
    stack_file(REHEARSAL + stack).write_text(yaml.safe_dump(document, sort_keys=False), encoding="utf-8")
    return 0


def mend(stack: str) -> int:
    """Set up again the machines that lost what the last `up` put there, such as one that was re-imaged."""
    if woken := _resume(stack):
        return _set_up_woken(stack, woken)
    exported = _exported(stack, "--show-secrets")
    _open(stack, exported)
    return nodes.mend(exported)


def _resume(stack: str) -> list[str]:
    """Start what is paused and forget what is gone, so that `up` finds all instances or makes them anew.

    Return the nodes that were started.
    """
    if not isinstance(read_stack_file(stack_file(stack)).target, AwsTarget):
        return []
    found = fleet.kept(_exported(stack))
    where = fleet.place(stack_file(stack), found)
    if where is None or not found:
        return []
    if lost := fleet.gone(found, where):
        fleet.forget(stack, lost)
    return fleet.wake({name: each for name, each in found.items() if each not in lost}, where)


def _set_up_woken(stack: str, woken: Sequence[str]) -> int:
    """Set up again the nodes that were started: what was on their local disks is not there any more."""
    exported = _exported(stack, "--show-secrets")
    _open(stack, exported)
    reach_access.boots(reach_access.folder_of(stack), woken)
    print(f"resuming   {', '.join(woken)}: set up again, local disks are empty", file=sys.stderr, flush=True)
    known = nodes.of(exported)
    return nodes.set_up([known[name] for name in woken if name in known])


def pause(stack: str) -> int:
    """Stop the stack's instances; `up` starts them again."""
    found = fleet.kept(_exported(stack))
    fleet.pause(stack, found, _instances_of(stack, found))
    return 0


def replacing(stack: str, node: str) -> int:
    """Print the URN of a node's instance for `pulumi up --replace`; nothing where the instance is gone."""
    found = fleet.kept(_exported(stack))
    where = _instances_of(stack, found)
    if node not in found:
        raise StackError(f"stack {stack} has no node {node}; it has {', '.join(found)}")
    if lost := [each for each in fleet.gone(found, where) if each.node == node]:
        fleet.forget(stack, lost)  # then `up` makes it anew
    else:
        print(found[node].urn)
    return 0


def explain(stack: str, events: str) -> int:
    """Say what to do where a failed `up` wanted capacity that EC2 has not; `events` is its event log."""
    with Path(events).open(encoding="utf-8") as log:
        for line in fleet.explained(stack_file(stack), list(log)):
            print(line, file=sys.stderr)
    return 0


def _instances_of(stack: str, found: Mapping[str, fleet.Kept]) -> Login:
    """Return where the stack's instances are. Raises StackError where it has none."""
    where = fleet.place(stack_file(stack), found)
    if where is None:
        raise StackError(f"stack {stack}: only instances on AWS can be stopped or replaced from here")
    if not found:
        raise StackError(f"stack {stack} has no instances; bring it up with `scripts/up {stack}`")
    return where


def access(stack: str) -> int:
    """Write how the stack's instances are reached from here, as its state says."""
    if not _open(stack, _exported(stack)):
        raise StackError(f"stack {stack} has no instances; bring it up with `scripts/up {stack}`")
    print(f"access     {reach_access.folder_of(stack)}: scripts/node {stack} NODE status --human")
    return 0


def node(stack: str, name: str, verb: str, *arguments: str) -> int:
    """Run a verb of nodectl on one node of the stack."""
    exported = _exported(stack)
    found = nodes.of(exported)
    if name not in found:
        known = ", ".join(found) or f"none: bring it up with `scripts/up {stack}`"
        raise StackError(f"stack {stack} has no node {name}; it has {known}")
    _open(stack, exported)
    return subprocess.run(found[name].running(verb, *arguments), check=False).returncode


COMMANDS: Mapping[str, Callable[..., int]] = {
    "unlock": unlock,
    "create": create,
    "mend": mend,
    "pause": pause,
    "replacing": replacing,
    "explain": explain,
    "access": access,
    "node": node,
    "prove": prove,
    "ready": ready,
    "down": down,
    "rehearse": rehearse,
}


def main(command: str, stack: str, *arguments: str) -> int:
    """Run one command; whatever fails is one message. Pulumi has said itself what went wrong with it."""
    try:
        stack_file(stack)
        return COMMANDS[command](stack, *arguments)
    except StackFileError as error:
        print(error.of(stack), file=sys.stderr)
        return 2
    except (StackError, PowerError, NoAccessError) as error:
        print(error, file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(error.stderr or "", end="", file=sys.stderr)
        return error.returncode


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
