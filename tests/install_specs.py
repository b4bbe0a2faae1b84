"""Specifications of installs for tests: simulated engines and the generated model, unless told otherwise."""

from dataclasses import replace
from typing import Any

from nodectl.contract.runtime import InstallSpec, ModelSource

TINY = ModelSource(kind="generated", name="tiny")


def spec(**changes: Any) -> InstallSpec:
    """Return what an install is told."""
    return replace(InstallSpec(variant="mocker", lock="0123456789ab", model=TINY), **changes)


def generated(name: str) -> ModelSource:
    """Return the generated model under a name."""
    return ModelSource(kind="generated", name=name)
