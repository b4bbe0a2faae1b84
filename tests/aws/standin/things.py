"""The many types of EC2 that are made, described and deleted alike: each is a few lines of a table."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError

from tests.aws.standin import tags
from tests.aws.standin.kinds import Account, Kind, Properties, changed, given

GONE: Final = ("deleted", "deleting", "terminated", "shutting-down")


@dataclass(frozen=True)
class Thing:
    """A type of EC2. Names are those of its actions and parameters."""

    noun: str
    """As in `create_NOUN`."""
    id: str
    """Parameter with its id."""
    inputs: Mapping[str, str]
    """Input -> parameter of its creation."""
    source: str
    replaces: frozenset[str] = frozenset()
    outputs: Mapping[str, str] = field(default_factory=dict)
    """Output -> key of its description."""
    plural: str = ""
    """As in `describe_PLURAL`; default: the noun with an s."""
    made: str | None = ""
    """Key of the answer to its creation; default: the noun; None: the answer itself."""
    create: str = ""
    """Action that makes it; default: `create_NOUN`."""
    delete: str = ""
    """Action that ends it; default: `delete_NOUN`."""
    tag: str = ""
    """Its type as tags name it; default: the noun."""
    tag_id: str = ""
    """Key of its description with the id that its tags go to; default: its id."""
    extra: frozenset[str] = frozenset()
    """Inputs that `after` and `changes` see to."""
    asked: Callable[[Account, Properties], dict[str, Any]] = lambda _account, _inputs: {}
    """More parameters of its creation."""
    sets: frozenset[str] = frozenset()
    """Inputs whose order means nothing."""
    after: Callable[[Account, str, Properties], None] = lambda _account, _id, _inputs: None
    """Further steps after it exists."""
    before: Callable[[Account, str, Properties], None] = lambda _account, _id, _state: None
    """Steps before it is deleted."""
    changes: Callable[[Account, str, Properties, Properties], None] | None = None
    """Steps of a change of inputs other than tags."""
    more: Callable[[Account, Mapping[str, Any], Properties], Properties] = lambda _a, _d, _s: {}
    """More outputs, from its description and the last state."""
    named: str | None = None
    replaced: Callable[[Properties, Properties], Any] = lambda _old, _new: ()

    def kind(self) -> Kind:
        """Return it as the server takes it."""
        return Kind(
            inputs=frozenset(self.inputs) | self.extra | {"tags"},
            create=self._create,
            read=self._read,
            delete=self._delete,
            update=self._update,
            source=self.source,
            replaces=self.replaces,
            named=self.named,
            replaced=self.replaced,
            sets=self.sets,
        )

    def _create(self, account: Account, inputs: Properties) -> str:
        create = getattr(account.ec2, self.create or f"create_{self.noun}")
        specification = tags.specification(self.tag or self.noun.replace("_", "-"), inputs)
        asked = {**given(inputs, self.inputs), **self.asked(account, inputs)}
        answer = create(**asked, **specification)
        made = answer if self.made is None else answer[self.made or _camel(self.noun)]
        identity = str(made[self.id])
        self.after(account, identity, inputs)
        return identity

    def describe(self, account: Account, identity: str) -> Mapping[str, Any] | None:
        """Return what EC2 says of it; None when it is gone."""
        plural = self.plural or f"{self.noun}s"
        try:
            answer = getattr(account.ec2, f"describe_{plural}")(**{f"{self.id}s": [identity]})
        except ClientError as error:
            if "NotFound" in error.response["Error"]["Code"]:
                return None
            raise
        found: list[Mapping[str, Any]] = answer[_camel(plural)]
        living = [entry for entry in found if entry.get("State") not in GONE]
        return living[0] if living else None

    def _read(self, account: Account, identity: str, state: Properties) -> Properties | None:
        described = self.describe(account, identity)
        if described is None:
            return None
        named = {**self.outputs, **self.inputs}
        found = {key: described[name] for key, name in named.items() if name in described}
        kind = self.tag or self.noun.replace("_", "-")
        return {
            "arn": account.arn("ec2", f"{kind}/{identity}"),
            **found,
            **tags.mapped(described.get("Tags", described.get("TagSet", []))),
            **self.more(account, described, state),
        }

    def _update(self, account: Account, identity: str, old: Properties, new: Properties) -> None:
        others = [key for key in old.keys() | new.keys() if key in self.inputs or key in self.extra]
        if changed(old, new, *others):
            if self.changes is None:
                raise NotImplementedError(f"{self.noun}: the stand-in changes tags alone")
            self.changes(account, identity, old, new)
        tags.update(account, self._tagged(account, identity), old, new)

    def _tagged(self, account: Account, identity: str) -> str:
        described = self.describe(account, identity) if self.tag_id else None
        return str(described[self.tag_id]) if described else identity

    def _delete(self, account: Account, identity: str, state: Properties) -> None:
        self.before(account, identity, state)
        if self.describe(account, identity) is not None:
            getattr(account.ec2, self.delete or f"delete_{self.noun}")(**{self.id: identity})


def _camel(snake: str) -> str:
    return "".join(part.capitalize() for part in snake.split("_"))
