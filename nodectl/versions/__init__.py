"""The one set of versions that runs on nodes: a hashed lock file a variant, made by `lock` beside this."""

import hashlib
import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Final

NODE: Final = "node"
"""Variant without an engine: nodectl itself, NATS and etcd, where the engine comes from elsewhere."""

S3: Final = "s3"
"""The environment that downloads models from S3; made only where one comes from there."""

ENGINE_VARIANTS: Final = ("mocker", "cpu", "gpu")
"""Variants that a runtime can serve with."""

VARIANTS: Final = (NODE, *ENGINE_VARIANTS)
"""Those that nodectl itself runs in."""

_PIN: Final = re.compile(r"^([a-z0-9-]+)==([^ ;\\]+)", re.MULTILINE)


def lock_file(name: str) -> Path:
    """Return the lock of a runtime variant, or of uv."""
    return Path(__file__).with_name(f"{name}.txt")


@cache
def lock_digest(name: str) -> str:
    """Return what changes exactly when the versions in that lock do."""
    return hashlib.sha256(lock_file(name).read_bytes()).hexdigest()[:12]


@cache
def pins(name: str) -> Mapping[str, str]:
    """Return package -> version of that lock."""
    return dict(_PIN.findall(lock_file(name).read_text(encoding="utf-8")))


@cache
def store_releases() -> Mapping[str, Mapping[str, str]]:
    """Return program -> `version`, `url` and `sha256` of its official release (`stores.json` says whence)."""
    content = json.loads(Path(__file__).with_name("stores.json").read_text(encoding="utf-8"))
    return {name: release for name, release in content.items() if isinstance(release, dict)}
