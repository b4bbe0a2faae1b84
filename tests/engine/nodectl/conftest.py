"""Nodes for nodectl's tests: real supervisors, and the project's environment for an installed one."""

import random
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodectl.runtime.cache import environment
from tests.engine.nodectl.node import Node


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A user cache that holds the `mocker` environment: the one that runs the tests."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    made = environment("mocker")
    made.parent.mkdir(parents=True)
    made.symlink_to(sys.prefix)
    return folder


@pytest.fixture
def address() -> str:
    """Return a loopback address that nobody else uses."""
    return f"127.{random.randint(200, 250)}.{random.randint(0, 255)}.{random.randint(1, 250)}"


@pytest.fixture
def node(tmp_path: Path, cache: Path) -> Iterator[Node]:
    """A node that is removed at the end."""
    node = Node(tmp_path / ".run" / "stack" / "node-1", cache)
    yield node
    node.done("remove")
    assert not node.processes()
