"""Property maps of the protocol as plain Python values, with markers for unknowns, assets and archives.

The markers are Pulumi's, from `sdk/go/common/resource/plugin/rpc.go`. Secrets arrive unwrapped, since the
provider does not accept them: the engine marks outputs that carry the name of a secret input.
"""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf.json_format import MessageToDict
from google.protobuf.struct_pb2 import Struct

Properties = dict[str, Any]
"""Inputs or state of a resource: JSON values."""

UNKNOWN = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
"""Marker of a value that is known only after the update."""

SIGNATURE = "4dabf18193072939515e22adb298388d"
ASSET = "c44067f5952c0a294b673a41bacd8c17"
ARCHIVE = "0def7320c3a5731c473e5ecbe6d01bc7"


def read(struct: Struct) -> Properties:
    """Return a property map as plain values; every number is a float."""
    properties: Properties = MessageToDict(struct)
    return properties


def write(properties: Mapping[str, Any]) -> Struct:
    """Return plain values as a property map."""
    struct = Struct()
    struct.update(dict(properties))
    return struct


def changed(old: Struct, new: Struct) -> list[str]:
    """Return the names of the properties that differ, sorted."""
    names = sorted(old.fields.keys() | new.fields.keys())
    return [name for name in names if old.fields.get(name) != new.fields.get(name)]


def file_asset(path: str) -> Properties:
    """Return the file at `path` as an asset, with the hash that the engine compares."""
    with Path(path).open("rb") as file:
        return {SIGNATURE: ASSET, "path": path, "hash": hashlib.file_digest(file, "sha256").hexdigest()}


def archive(assets: Mapping[str, Properties]) -> Properties:
    """Return assets, by their path in the archive, as one archive."""
    return {SIGNATURE: ARCHIVE, "assets": dict(assets)}
