"""JSON schema of the models, for errors, editors and the reference page."""

from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any, Final

import yaml

from settings.models import Settings

PULUMI_KEYS: Final = ("encryptionsalt", "encryptedkey", "secretsprovider", "environment")
"""Keys that Pulumi itself writes into a stack file beside `config`."""

Schema = Mapping[str, Any]


@cache
def settings_schema() -> Schema:
    """Return the JSON schema of everything below `dynamo:`."""
    return Settings.model_json_schema()


def stack_file_schema() -> dict[str, Any]:
    """Return the JSON schema of a whole stack file, for editors."""
    settings = dict(settings_schema())
    definitions = settings.pop("$defs")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A stack file",
        "type": "object",
        "properties": {
            "config": {
                "type": "object",
                "properties": {f"dynamo:{key}": value for key, value in settings["properties"].items()},
                "patternProperties": {"^(?!dynamo:)[^:]+:": {}},
                "required": [f"dynamo:{key}" for key in settings["required"]],
                "additionalProperties": False,
            },
            **{key: {"description": "kept by Pulumi"} for key in PULUMI_KEYS},
        },
        "required": ["config"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def properties(schema: Schema) -> Mapping[str, Schema]:
    """Return the keys of a section, with their schemas."""
    keys: Mapping[str, Schema] = _section(schema).get("properties", {})
    return keys


def at(path: Sequence[int | str]) -> Schema:
    """Return the schema at a path of keys; below a union, the path names the kind."""
    schema = settings_schema()
    for part in path:
        union = schema.get("discriminator")
        if union and part == union["propertyName"]:
            schema = {"enum": list(union["mapping"])}
        elif union and part in union["mapping"]:
            schema = {"$ref": union["mapping"][part]}
        else:
            inner = schema.get("items") if isinstance(part, int) else schema.get("additionalProperties")
            schema = properties(schema).get(str(part)) or inner or schema
    return schema


def expected(schema: Schema) -> str:
    """Return the expected value of a schema in words."""
    if "enum" in schema:
        return " or ".join(schema["enum"])
    if "const" in schema:
        return str(schema["const"])
    for union in ("anyOf", "oneOf"):
        if union in schema:
            branches = [expected(branch) for branch in schema[union] if branch.get("type") != "null"]
            return " or ".join(dict.fromkeys(branches))
    words = _TYPES[schema.get("type", "object")]
    if "minimum" in schema:
        return f"{words} from {schema['minimum']} to {schema['maximum']}"
    if "exclusiveMinimum" in schema:
        return f"{words} above {schema['exclusiveMinimum']:g}"
    if "maxItems" in schema:
        return f"{words} of {schema['minItems']} to {schema['maxItems']} entries"
    if "minItems" in schema:
        return f"{words} of at least {schema['minItems']} entry"
    if "minLength" in schema:
        return f"{words} of {schema['minLength']} to {schema['maxLength']} characters"
    return words


def example(schema: Schema, key: str) -> str:
    """Return `, for example ...` if the schema has an example, else nothing."""
    if "examples" not in schema:
        return ""
    text = yaml.safe_dump({key: schema["examples"][0]}, default_flow_style=True, width=1000).strip()
    return f", for example `{text[1:-1]}`"


_TYPES: Final = {
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "string": "text",
    "array": "a list",
    "object": "a mapping",
}


def _section(schema: Schema) -> Schema:
    """Return the section that a schema refers to, also in a union with null or with a short form."""
    for branch in (schema, *schema.get("anyOf", ())):
        if "$ref" in branch:
            section: Schema = settings_schema()["$defs"][branch["$ref"].rpartition("/")[2]]
            return section
    return schema
