"""`scripts/down`: a stack destroyed, with everything that it left on this machine."""

import shutil
import subprocess
import sys
from pathlib import Path

from account.fleet import PROJECT
from operations import engine
from operations.destroy_options import options as destroy_options
from operations.destroying import destroy
from operations.locks import state_folder, unlock
from operations.verbs.arguments import Stack
from operations.verbs.rehearse import REHEARSAL
from remote import aws_access
from settings.loader import stack_file


def down(stack: Stack = "local") -> None:
    """Take a stack down and leave nothing of it."""
    engine.enter(stack)
    unlock(stack)
    take_down(stack)


def take_down(stack: str) -> None:
    """Destroy the stack, and whatever a killed run left of its local nodes.

    Raises CalledProcessError where Pulumi or a node could not.
    """
    run_folder = Path(".run", stack)
    stack_state = engine.exported(stack)
    if stack_state is not None:
        with destroy_options(stack, stack_state) as options:
            destroy(stack, stack_file(stack), stack_state, options)
        command = ["pulumi", "stack", "rm", "--preserve-config", "--stack", stack, "--yes"]
        subprocess.run(command, check=True)
    elif not run_folder.exists():
        print(f"stack {stack} is not up: nothing to take down", file=sys.stderr)
    other_folders = (aws_access.folder_of(stack),)
    for root in (
        path
        for path in sorted(run_folder.glob("*/"))
        if path.suffix != ".removed" and path not in other_folders
    ):
        subprocess.run([sys.executable, "-m", "nodectl", "remove", "--root", str(root)], check=True)
    shutil.rmtree(run_folder, ignore_errors=True)
    if run_folder.parent.is_dir() and not list(run_folder.parent.iterdir()):
        run_folder.parent.rmdir()
    if stack.startswith(REHEARSAL):
        stack_file(stack).unlink(missing_ok=True)
    _forget(stack)


def _forget(stack: str) -> None:
    """Remove what Pulumi keeps of a removed stack in the project's own state: backups and history."""
    if state_folder() != Path(".state").resolve():
        return
    state = Path(".state/.pulumi")
    for folder in ("backups", "history", "locks/organization"):
        shutil.rmtree(state / folder / PROJECT / stack, ignore_errors=True)
    for path in state.glob(f"stacks/{PROJECT}/{stack}.json*"):
        path.unlink()
    if not list(state.glob("stacks/**/*.json")):
        shutil.rmtree(state)  # its parent stays: shells that scripts/env set up name it
