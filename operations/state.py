"""A stack as `pulumi stack export` prints it: its resources by type, and texts in it."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

INSTANCE: Final = "aws:ec2/instance:Instance"
COMMAND: Final = "command:local:Command"
ELASTIC_IP: Final = "aws:ec2/eip:Eip"
PROVIDER: Final = "pulumi:providers:aws"
STACK: Final = "pulumi:pulumi:Stack"


def living(stack_state: Mapping[str, Any] | None, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and content of the resources of a type, without those that wait for their deletion.

    None is a stack that is not up. What waits for its deletion has a successor of the same name.
    """
    for resource in (stack_state or {}).get("deployment", {}).get("resources", []):
        if resource["type"] == kind and not resource.get("delete"):
            yield resource["urn"].rpartition("::")[2], resource


@dataclass(frozen=True)
class Proved:
    """Proof of the last `up`: the command that made it, and its standard input."""

    command: str
    spec: str


def proved(stack_state: Mapping[str, Any] | None) -> Proved | None:
    """Return what the last `up` proved; None when nothing was proved."""
    proof = dict(living(stack_state, COMMAND)).get("proof")
    return (
        None if proof is None else Proved(plain(proof["inputs"]["create"]), plain(proof["inputs"]["stdin"]))
    )


def outputs(stack_state: Mapping[str, Any] | None) -> Mapping[str, Any]:
    """Return the outputs of an exported stack."""
    return next((stack.get("outputs", {}) for _, stack in living(stack_state, STACK)), {})


class EncryptedError(Exception):
    """A text is needed that was exported encrypted."""


def plain(value: Any) -> str:
    """Return a text as it is, also where state marks it as secret: there it is JSON once more.

    Raises EncryptedError for a secret of a stack that was exported without its secrets.
    """
    if not isinstance(value, dict):
        return str(value)
    if "plaintext" not in value:
        raise EncryptedError("state has encrypted what is needed here: export it with its secrets")
    return str(json.loads(value["plaintext"]))
