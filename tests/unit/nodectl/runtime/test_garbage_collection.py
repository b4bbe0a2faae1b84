"""Environments that are collected from a cache, and those that never are."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from nodectl.common import steps
from nodectl.common.layout import Layout
from nodectl.contract.runtime import Packages
from nodectl.runtime import environments, garbage_collection
from nodectl.runtime.cache import marker

HOUR = 3600.0


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    folder = tmp_path / "cache" / "dynamo-multinode" / "env"
    folder.mkdir(parents=True)
    return folder


def environment(cache: Path, number: int, *, hours: float) -> Path:
    """Make an environment that an install asked for so many hours ago."""
    path = cache / f"gpu-py3.11-{number:012x}"
    (path / "bin").mkdir(parents=True)
    (path / "bin" / "python").symlink_to(sys.executable)
    made = marker(path)
    made.touch()
    os.utime(made, (time.time() - hours * HOUR,) * 2)
    return path


def node(folder: Path, uses: Path) -> Layout:
    """Make a node whose last manifest uses an environment."""
    layout = Layout.at(folder)
    layout.make()
    layout.manifest.write_text("{}")
    garbage_collection.record(layout, uses)
    return layout


def test_the_newest_two_that_nobody_uses_stay(cache: Path) -> None:
    made = [environment(cache, number, hours=2 + number) for number in range(4)]
    assert sorted(garbage_collection.collect()) == [made[2].name, made[3].name]
    assert [path.exists() for path in made] == [True, True, False, False]
    assert not list(cache.glob(".*.gone"))


def test_what_any_nodes_manifest_uses_stays_until_the_node_is_removed(cache: Path, tmp_path: Path) -> None:
    old = environment(cache, 9, hours=900)
    for number in range(2):
        environment(cache, number, hours=2)
    layout = node(tmp_path / "run" / "stack" / "node-1", old)
    assert garbage_collection.collect() == []
    layout.manifest.unlink()
    assert garbage_collection.collect() == [old.name]


def test_a_node_counts_for_the_environment_of_its_last_manifest_only(cache: Path, tmp_path: Path) -> None:
    before, after = environment(cache, 8, hours=900), environment(cache, 9, hours=800)
    for number in range(2):
        environment(cache, number, hours=2)
    node(tmp_path / "node-1", before)
    node(tmp_path / "node-1", after)
    assert garbage_collection.collect() == [before.name]


def test_what_a_process_was_started_from_stays(cache: Path) -> None:
    old = environment(cache, 9, hours=900)
    for number in range(2):
        environment(cache, number, hours=2)
    command = [str(old / "bin" / "python"), "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        assert process.stdout.readline() == b"\n"  # the kernel shows no arguments while it still starts it
        assert garbage_collection.collect() == []
        process.communicate(b"\n")
    assert garbage_collection.collect() == [old.name]


def test_what_an_install_just_asked_for_stays(cache: Path) -> None:
    made = [environment(cache, number, hours=900) for number in range(4)]
    for path in made[1:]:
        assert environments.ensure("gpu", path, Packages(), deadline=0)
    assert garbage_collection.collect() == [made[0].name]
    assert all(path.exists() for path in made[1:])


def test_what_an_install_is_making_stays(cache: Path) -> None:
    half = environment(cache, 9, hours=900)
    marker(half).unlink()
    os.utime(half, (0, 0))
    for number in range(2):
        environment(cache, number, hours=2)
    with steps.locked(half, time.monotonic() + 10):
        assert garbage_collection.collect() == []
    assert garbage_collection.collect() == [half.name]


def test_nothing_but_this_projects_environments_is_touched(cache: Path, tmp_path: Path) -> None:
    mine = tmp_path / "mine"
    mine.mkdir()
    (cache / "gpu-py3.11-00000000000f").symlink_to(mine)
    (cache / "my-own-environment").mkdir()
    for number in range(3):
        environment(cache, number, hours=2 + number)
    assert garbage_collection.collect() == ["gpu-py3.11-000000000002"]
    assert mine.exists()
    assert (cache / "my-own-environment").exists()


def test_a_cache_that_does_not_exist_holds_nothing_to_collect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    assert garbage_collection.collect() == []
