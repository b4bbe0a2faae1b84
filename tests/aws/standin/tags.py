"""Tags, which almost everything has: Pulumi's map, and AWS's lists."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from tests.aws.standin.kinds import Account, Properties

AWS: Final = "aws:"
"""Prefix of the tags that AWS itself writes."""


def listed(tags: Mapping[str, str] | None) -> list[dict[str, str]]:
    """Return tags as AWS takes them."""
    return [{"Key": key, "Value": value} for key, value in sorted((tags or {}).items())]


def mapped(tags: Iterable[Mapping[str, str]]) -> Properties:
    """Return the outputs for tags as AWS gives them."""
    found = {tag["Key"]: tag["Value"] for tag in tags if not tag["Key"].startswith(AWS)}
    return {"tags": found, "tagsAll": found}


def specification(kind: str, inputs: Properties) -> dict[str, Any]:
    """Return what gives a new resource its tags; nothing where it has none."""
    if not inputs.get("tags"):
        return {}
    return {"TagSpecifications": [{"ResourceType": kind, "Tags": listed(inputs["tags"])}]}


def update(account: Account, identity: str, old: Properties, new: Properties) -> None:
    """Give a resource of EC2 its new tags."""
    gone, fresh = difference(old, new)
    if gone:
        account.ec2.delete_tags(Resources=[identity], Tags=[{"Key": key} for key in gone])
    if fresh:
        account.ec2.create_tags(Resources=[identity], Tags=listed(fresh))


def difference(old: Properties, new: Properties) -> tuple[list[str], dict[str, str]]:
    """Return the keys that go, and the tags that come or change."""
    before, after = old.get("tags") or {}, new.get("tags") or {}
    fresh = {key: value for key, value in after.items() if before.get(key) != value}
    return sorted(before.keys() - after.keys()), fresh
