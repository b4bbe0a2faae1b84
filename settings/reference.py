"""Write what is generated from the models: the JSON schema for editors and the reference page.

`python -m settings.reference` writes both; a test holds that the files in the tree are these.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from nodectl.common.commandline import CommandLine
from settings.schema import Schema, example, expected, properties, settings_schema, stack_file_schema

ROOT: Final = Path(__file__).parent.parent
COMMAND: Final = "python -m settings.reference"

_HEAD: Final = f"""\
<!-- generated from settings/models.py by `{COMMAND}` -->
# The stack file

`stacks/Pulumi.NAME.yaml` defines stack NAME: below `config:`, the keys of the first table, each with the
prefix `dynamo:`. `scripts/plan NAME` checks it. Pulumi's own keys (`aws:region`, `encryptionsalt`, …) are
allowed beside them.

```yaml
# yaml-language-server: $schema=stack.schema.json
config:
  dynamo:target: {{kind: local, nodes: 2}}
  dynamo:pattern: agg
  dynamo:model: {{source: generated, name: tiny}}
  dynamo:roles:
    frontend: {{flags: {{router-mode: kv}}}}
    aggregated: {{replicas: 2}}
```

- **Syntax**: unknown keys and YAML's tags are refused. Anchors, aliases and merge keys (`<<`) work as in
  Pulumi.
- **Numbers**: a number in `flags` is passed on as it is written (`1.10`, `4.0`). Put it in quotes all the
  same: `pulumi config set` and `pulumi stack init` rewrite the file, and then Pulumi writes `1.1` and `4`
  instead, and expands merge keys. (`scripts/up` and `scripts/init` only add Pulumi's own keys.)
- **Secrets**: only `huggingFaceToken` may hold one, encrypted. Tokens, private keys and URLs with a password
  are refused at every key, and so are environment variables and flags with the name of a secret (`HF_TOKEN`,
  `GH_PAT`, `DB_PASS`, `…_KEY`, `…_CREDENTIALS`). Tags and keys inside a flag may have any name
  (`budget-token`, `image_token`), unless the value looks like a secret. Errors show `…` for possible secrets.
"""


def files() -> Mapping[Path, str]:
    """Return the generated files by their path."""
    return {
        ROOT / "stacks" / "stack.schema.json": json.dumps(stack_file_schema(), indent=2, ensure_ascii=False)
        + "\n",
        ROOT / "docs" / "stack-file.md": reference(),
    }


def reference() -> str:
    """Return the reference page: a table for the stack file, and one for each section of it."""
    tables = [_table("Keys of a stack file", settings_schema(), prefix="dynamo:")]
    tables += [_table(name, section) for name, section in _sections(settings_schema(), set())]
    return "\n".join([_HEAD, *tables])


def _sections(schema: Schema, visited: set[str]) -> Iterator[tuple[str, Schema]]:
    """Walk the sections in the order in which a reader meets them, each once."""
    for key in properties(schema).values():
        for name in _references(key):
            if name not in visited:
                visited.add(name)
                section = settings_schema()["$defs"][name]
                yield name, section
                yield from _sections(section, visited)


def _references(schema: Schema) -> list[str]:
    branches = (schema, *schema.get("anyOf", ()), *schema.get("oneOf", ()))
    return [branch["$ref"].rpartition("/")[2] for branch in branches if "$ref" in branch]


def _table(title: str, section: Schema, prefix: str = "") -> str:
    lines = [f"## {title}", "", section["description"], ""]
    lines += ["| key | type | default | meaning |", "|---|---|---|---|"]
    for key, schema in properties(section).items():
        default = "required" if key in section.get("required", ()) else _default(schema)
        meaning = schema["description"] + example(schema, key)
        lines.append(f"| `{prefix}{key}` | {_type(schema)} | {default} | {meaning} |")
    return "\n".join(lines) + "\n"


def _type(schema: Schema) -> str:
    links = " or ".join(f"[{name}](#{name.lower()})" for name in _references(schema))
    words = expected(schema)
    if not links:
        return words
    return f"{words.removesuffix('a mapping')}{links}"


def _default(schema: Schema) -> str:
    default = schema.get("default", {})
    if default is None:
        return "none"
    return "its own defaults" if _references(schema) else f"`{json.dumps(default)}`"


if __name__ == "__main__":
    CommandLine(prog=COMMAND, description=__doc__).parse_args()
    for path, text in files().items():
        path.write_text(text)
