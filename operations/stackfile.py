"""Keeps a stack file as its author wrote it where Pulumi adds keys of its own."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import yaml

from nodectl.common.files import write_atomically
from settings.configuration import same, value_of
from settings.loader import document
from settings.schema import PULUMI_KEYS


@contextlib.contextmanager
def kept_as_written(path: Path) -> Iterator[None]:
    """Undo what Pulumi does to the file but for new keys of its own.

    With every key that Pulumi adds it writes all values anew: `1.10` becomes `1.1`, `40` at the top `"40"`,
    and merge keys are written out.
    """
    text, original = path.read_text(encoding="utf-8"), document(path)
    yield
    current = document(path)
    added_keys = {
        key: current[key] for key in PULUMI_KEYS if key in current and current[key] != original.get(key)
    }
    if added_keys.keys() & original.keys() or not same(_values(original), _values(current)):
        return
    lines = yaml.safe_dump(added_keys, width=1000) if added_keys else ""
    write_atomically(path, text + ("" if text.endswith("\n") else "\n") + lines)


def _values(document: object) -> object:
    """Return the configuration with values that mean the same being the same."""
    config = document.get("config") if isinstance(document, dict) else None
    return {key: value_of(value) for key, value in config.items()} if isinstance(config, dict) else config
