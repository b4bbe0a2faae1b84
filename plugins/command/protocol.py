"""Pulumi's generated protocol without the SDK around it: importing `pulumi` itself takes 0.8 s."""

import sys
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType


def _bare_package(name: str, site_packages: Path) -> ModuleType:
    """A package whose modules can be imported, but whose own code does not run."""
    package = ModuleType(name)
    package.__path__ = [str(site_packages.joinpath(*name.split(".")))]
    return package


if "pulumi" not in sys.modules:
    spec = find_spec("pulumi")
    if spec is None or spec.origin is None:
        raise ImportError("the Pulumi SDK is not installed in this Python environment")
    for name in ("pulumi", "pulumi.runtime", "pulumi.runtime.proto"):
        sys.modules[name] = _bare_package(name, Path(spec.origin).parents[1])

from pulumi.runtime.proto import (  # noqa: E402 -- after the packages above
    engine_pb2,
    engine_pb2_grpc,
    plugin_pb2,
    provider_pb2,
    provider_pb2_grpc,
)

__all__ = ["engine_pb2", "engine_pb2_grpc", "plugin_pb2", "provider_pb2", "provider_pb2_grpc"]
