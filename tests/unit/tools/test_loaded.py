"""Modules that bootstrap loads once, so that they are compiled: a renamed one stops every new checkout."""

import importlib.util

import pytest

from tools.toolchain.uv import LOADED


@pytest.mark.parametrize("name", LOADED)
def test_a_module_that_bootstrap_loads_exists(name: str) -> None:
    assert importlib.util.find_spec(name) is not None
