"""What every part of the stack file is built from: the base of sections, and values that several have."""

import ipaddress
import re
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

USER_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.@+-]{0,63}")


def wrong(remedy: str) -> PydanticCustomError:
    """Return the error of a rule of ours; its text reaches the user as it is."""
    return PydanticCustomError("rule", "{remedy}", {"remedy": remedy})


def _argument(text: str) -> str:
    if text.startswith("-") or text != text.strip():
        raise wrong("expected text without a leading dash and without spaces around it")
    return text


def _folder(path: str) -> str:
    if not path.startswith("/") or ".." in path.split("/"):
        raise wrong("expected an absolute path without `..`, such as /models/llama")
    return path


def _user_name(name: str) -> str:
    if not USER_NAME.fullmatch(name):
        raise wrong("expected the name of a user, such as ubuntu")
    return name


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise wrong("expected an address or range such as 203.0.113.7 or 203.0.113.0/24") from None


Count = Annotated[int, Field(ge=1, le=1024)]
Argument = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_argument)]
Folder = Annotated[Argument, AfterValidator(_folder)]
UserName = Annotated[str, AfterValidator(_user_name)]
NetworkRange = Annotated[str, AfterValidator(_network)]
"""An address or range, written out in full as a range."""


class Section(BaseModel):
    """Base of every part of the stack file: frozen, camelCase, unknown keys refused, no silent conversion."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True
    )
