"""A stack as `pulumi stack export` prints it: its resources by type, and texts in it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

INSTANCE: Final = "aws:ec2/instance:Instance"
COMMAND: Final = "command:local:Command"
ELASTIC_IP: Final = "aws:ec2/eip:Eip"
PROVIDER: Final = "pulumi:providers:aws"
STACK: Final = "pulumi:pulumi:Stack"


def living(exported: Mapping[str, Any] | None, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield name and content of the resources of a type, without those that wait for their deletion.

    None is a stack that is not up. What waits for its deletion has a successor of the same name.
    """
    for resource in (exported or {}).get("deployment", {}).get("resources", []):
        if resource["type"] == kind and not resource.get("delete"):
            yield resource["urn"].rpartition("::")[2], resource


def plain(value: Any) -> str:
    """Return a text as it is, also where state marks it as secret: there it is JSON once more."""
    return str(json.loads(value["plaintext"])) if isinstance(value, dict) else str(value)
