"""`scripts/node`: a verb of nodectl, run on a node of a stack."""

import subprocess
from typing import Annotated

import typer

from nodectl.common.redaction import redacted
from operations import engine, nodes
from operations.errors import StackError
from operations.instances import open_access
from operations.verbs.arguments import WrongValueError, stacks


def no_option(context: typer.Context, word: str) -> str:
    """Return a word that is no option. Options are for nodectl, and stand behind its verb."""
    if word in context.help_option_names:
        print(context.get_help())
        raise typer.Exit
    if word.startswith("-"):
        raise WrongValueError(f"unknown option {redacted(word.partition('=')[0])}")
    return word


def node(
    stack: Annotated[
        str,
        typer.Argument(metavar="STACK", callback=no_option, autocompletion=stacks, help="Name of the stack."),
    ],
    name: Annotated[str, typer.Argument(metavar="NODE", callback=no_option, help="Name of the node.")],
    verb: Annotated[
        str,
        typer.Argument(metavar="VERB", callback=no_option, help="Verb of nodectl, such as status or logs."),
    ],
    arguments: Annotated[list[str] | None, typer.Argument(metavar="[OPTIONS]", help="Options of it.")] = None,
) -> int:
    """Run a verb of nodectl on a node of a stack: status, logs SERVICE, and others.

    For example: scripts/node lab-agg lab-2 status --human. `scripts/node STACK NODE VERB --help` says which
    options a verb has. See docs/nodectl.md.
    """
    engine.enter(stack)
    return run_verb(stack, name, verb, arguments or [])


def run_verb(stack: str, name: str, verb: str, arguments: list[str]) -> int:
    """Run a verb on a node and return its exit code. Raises StackError where the stack has no such node."""
    stack_state = engine.exported(stack)
    existing = nodes.deployed_nodes(stack_state)
    if name not in existing:
        node_names = ", ".join(existing) or f"none of this release: bring it up with `scripts/up {stack}`"
        raise StackError(f"stack {stack} has no node {name}; it has {node_names}")
    open_access(stack, stack_state)
    return subprocess.run(existing[name].command(verb, *arguments), check=False).returncode
