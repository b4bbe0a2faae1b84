"""The base class of the stack file's sections, and values that several of them have."""

import re
from typing import Annotated, Any, Final

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

USER_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.@+-]{0,63}")

_ODD_IN_PATHS: Final = re.compile(r"[:$\\]")


def wrong(remedy: str) -> PydanticCustomError:
    """Return the validation error of a rule; users see its text unchanged."""
    return PydanticCustomError("rule", "{remedy}", {"remedy": remedy})


def _argument(text: str) -> str:
    if text.startswith("-") or text != text.strip():
        raise wrong("expected text without a leading dash and without spaces around it")
    return text


def _folder(path: str) -> str:
    parts = path.split("/")
    if not path.startswith("/") or ".." in parts or "." in parts:
        raise wrong("expected an absolute path without `..` and `~`, such as /models/llama")
    if not any(parts):
        raise wrong("expected a folder below /, such as /models/llama")
    if "//" in path:
        raise wrong("expected a path without doubled slashes, such as /models/llama")
    if odd := _ODD_IN_PATHS.search(path):
        raise wrong(f"expected a path without `{odd[0]}`: nothing is filled in, and a container takes none")
    return path


def _user_name(name: str) -> str:
    if not USER_NAME.fullmatch(name):
        raise wrong("expected the name of a user, such as ubuntu")
    return name


def _validated(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    check(value)
    return value


AS_WRITTEN: Final = WrapValidator(_validated)
"""Keeps a valid value unchanged, since its numbers keep their text (`settings.numbers`)."""

MAX_NODES: Final = 2048
"""Nodes that one NATS and one etcd are planned for."""

_GPUS_A_NODE: Final = 8
"""Of the largest machines: each GPU may have an engine of its own."""

Count = Annotated[int, Field(ge=1, le=1024), AS_WRITTEN]
MAX_FRONTENDS: Final = 256
"""Every node names all of them, and one balancer stands before them."""

NodeCount = Annotated[int, Field(ge=1, le=MAX_NODES), AS_WRITTEN]
FrontendCount = Annotated[int, Field(ge=1, le=MAX_FRONTENDS), AS_WRITTEN]
EngineCount = Annotated[int, Field(ge=1, le=MAX_NODES * _GPUS_A_NODE), AS_WRITTEN]
Passed = Annotated[bool | int | float | str | list[JsonValue] | dict[str, JsonValue], AS_WRITTEN]
"""The value of a flag, passed on to a process (`nodectl.contract.manifest.FlagValue`)."""

Argument = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_argument)]
Folder = Annotated[Argument, AfterValidator(_folder)]
UserName = Annotated[str, AfterValidator(_user_name)]


class Section(BaseModel):
    """Base of every part of the stack file: frozen, camelCase, unknown keys refused, no silent conversion."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True
    )
