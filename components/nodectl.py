"""Runs nodectl on a node, whichever way the node is reached."""

import shlex
from collections.abc import Sequence

import pulumi
import pulumi_command as command

from components.inputs import mapped
from components.node import Node

PYTHON = ".venv/bin/python"
"""The project environment's interpreter, seen from the project folder that commands start in."""

MACHINE_VERBS = ("install", "probe", "proof")
"""Verbs that concern the machine or the deployment, not the node's folder."""


def nodectl(
    name: str,
    node: Node,
    verb: str,
    stdin: pulumi.Input[str],
    opts: pulumi.ResourceOptions,
    *,
    options: Sequence[str] = (),
    delete: str | None = None,
) -> command.local.Command:
    """Register `nodectl VERB OPTIONS` on `node`: run when it is created and again whenever `stdin` changes.

    A new identity of the node replaces the resource. `delete` is the verb that undoes it, unless the machine
    itself goes; it gets the identity that it was created for, since Pulumi runs it after a successor's
    create.
    """
    return command.local.Command(
        name,
        create=shlex.join([*node.nodectl, verb, *options, *_root(verb, node)]),
        delete=_undo(node, delete),
        stdin=stdin,
        triggers=[node.identity],
        logging=command.local.Logging.STDERR,
        opts=opts,
    )


def _undo(node: Node, verb: str | None) -> str | pulumi.Output[str] | None:
    if verb is None or node.undo is None:
        return None
    command = [*node.undo, verb, *_root(verb, node), "--identity"]
    return mapped(node.identity, lambda identity: shlex.join([*command, identity]))


def _root(verb: str, node: Node) -> list[str]:
    return [] if verb in MACHINE_VERBS else ["--root", node.root]
