"""Steps of the verbs, each run as the command line runs it: a failure is a message and an exit code."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from operations import creating, engine, explaining, repairing
from operations.errors import reported
from operations.verbs.access import write_access
from operations.verbs.down import take_down
from operations.verbs.node import run_verb
from operations.verbs.pause import stop_all
from operations.verbs.plan import show
from operations.verbs.prove import prove_again
from operations.verbs.replace import instance_of
from operations.verbs.up import ready


def _replacing(stack: str, node: str) -> None:
    urn = instance_of(stack, node)
    print(*[urn] if urn else [], sep="\n", end="\n" if urn else "")


STEPS: Mapping[str, Callable[..., int | None]] = {
    "access": write_access,
    "costs": explaining.costs,
    "create": creating.create,
    "down": take_down,
    "explain": lambda stack, events: explaining.explain(stack, Path(events)),
    "repair": repairing.repair,
    "node": lambda stack, name, verb, *arguments: run_verb(stack, name, verb, list(arguments)),
    "pause": stop_all,
    "plan": show,
    "prove": lambda stack: prove_again(stack, engine.exported(stack)),
    "ready": lambda stack: ready(stack, engine.exported(stack)),
    "replacing": _replacing,
}


def run(step: str, stack: str, *arguments: Any) -> int:
    """Run a step on a stack and return its exit code."""
    return reported(stack, lambda: STEPS[step](stack, *arguments))
