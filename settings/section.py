"""What every part of the stack file is built from: the base of sections, and values that several have."""

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError


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


Count = Annotated[int, Field(ge=1, le=1024)]
Argument = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_argument)]
Folder = Annotated[Argument, AfterValidator(_folder)]


class Section(BaseModel):
    """Base of every part of the stack file: frozen, camelCase, unknown keys refused, no silent conversion."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, strict=True, alias_generator=to_camel, populate_by_name=True
    )
