"""A resource type of the server: its operations, and the changes that replace a resource.

Inputs and state are property maps with Pulumi's names; a state is the inputs and what AWS says of the
resource.
"""

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import boto3

Properties = dict[str, Any]


class Account:
    """Clients of one account and region; the environment says where it is and who asks."""

    attempts: int
    """Number of times that EC2 is asked for an instance that it has no capacity for."""

    def __init__(self, region: str, profile: str | None, attempts: int) -> None:
        self.region, self.attempts = region, attempts
        self._session = boto3.Session(region_name=region, profile_name=profile)
        self._clients: dict[str, Any] = {}
        self._alone = threading.Lock()

    @property
    def known(self) -> bool:
        """Return whether there are credentials."""
        return self._session.get_credentials() is not None

    @property
    def ec2(self) -> Any:
        return self._client("ec2")

    @property
    def iam(self) -> Any:
        return self._client("iam")

    @property
    def ssm(self) -> Any:
        return self._client("ssm")

    def _client(self, service: str) -> Any:
        with self._alone:  # a session makes one client at a time; clients themselves are safe
            if service not in self._clients:
                self._clients[service] = self._session.client(service)  # type: ignore[call-overload]
            return self._clients[service]

    @cached_property
    def number(self) -> str:
        """Return the account's number."""
        return str(self._client("sts").get_caller_identity()["Account"])

    def arn(self, service: str, resource: str) -> str:
        """Return the name that a resource has all over AWS."""
        return f"arn:aws:{service}:{self.region}:{self.number}:{resource}"


def no_update(account: Account, identity: str, old: Properties, new: Properties) -> None:
    """Refuse: the table says that every change makes a new resource, or that none is known."""
    refuse_changes(old, new, *(old.keys() | new.keys()))


def refuse_changes(old: Properties, new: Properties, *keys: str) -> None:
    """Raise NotImplementedError where one of these inputs changed, which the official provider changes."""
    found = sorted(key for key in keys if changed(old, new, key))
    if found:
        raise NotImplementedError(f"the stand-in does not change {', '.join(found)} in place")


@dataclass(frozen=True)
class Kind:
    """A resource type. `source` says where the official provider's behaviour is written down."""

    inputs: frozenset[str]
    create: Callable[[Account, Properties], str]
    """Returns the id."""
    read: Callable[[Account, str, Properties], Properties | None]
    """Returns what AWS says, given the last state; None when there is no such resource any more."""
    delete: Callable[[Account, str, Properties], None]
    source: str
    update: Callable[[Account, str, Properties, Properties], None] = no_update
    replaces: frozenset[str] = frozenset()
    """Inputs whose change makes a new resource."""
    replaced: Callable[[Properties, Properties], Iterable[str]] = lambda _old, _new: ()
    """More of them, which depend on values: those of the state, and the new inputs."""
    sets: frozenset[str] = frozenset()
    """Inputs whose order means nothing."""
    named: str | None = None
    """Input that gets a name of the resource's own where none is given."""
    renewed: Callable[[Iterable[str], Properties], Iterable[str]] = lambda _changed, _new: ()
    """Outputs that a change of these inputs to the new ones may change: unknown in a preview."""
    wrong: Callable[[Properties], Mapping[str, str]] = field(default=lambda _inputs: {})
    """Problems of inputs, by name."""


def numbers(value: Any) -> Any:
    """Return a value from the wire, where every number is a float, as AWS's clients want it."""
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, list):
        return [numbers(item) for item in value]
    if isinstance(value, dict):
        return {key: numbers(item) for key, item in value.items()}
    return value


def given(inputs: Properties, names: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters of an action for those inputs that are given."""
    return {
        parameter: numbers(inputs[key]) for key, parameter in names.items() if inputs.get(key) is not None
    }


def changed(old: Properties, new: Properties, *keys: str) -> bool:
    """Return whether any of these inputs changed."""
    return any(old.get(key) != new.get(key) for key in keys)
