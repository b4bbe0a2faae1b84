"""Where an install takes packages from: a folder of wheels, and environments that a machine has."""

import hashlib
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pytest

from nodectl import cache, environments, preinstalled
from nodectl.errors import BadInputError, NodectlError

pytestmark = pytest.mark.timeout(120)

LOCKED = {"ai-dynamo": "1.6.0", "vllm": "0.31.0", "nixl": "1.4.1"}


def wheel(folder: Path, name: str, version: str) -> str:
    """Write a wheel that holds nothing but its name; return its checksum."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(f"{module}_stub.py", f'VERSION = "{version}"\n')
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        archive.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        archive.writestr(
            f"{info}/RECORD", f"{module}_stub.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n"
        )
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def wheels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one wheel, and a lock of just that."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    lock = tmp_path / "lock.txt"
    lock.write_text(f"lonely==1.0 --hash=sha256:{wheel(folder, 'lonely', '1.0')}\n")
    monkeypatch.setattr(environments, "lock_file", lambda _: lock)
    return folder


def ensure(folder: Path, wheels: Path) -> bool:
    return environments.ensure("node", folder, {"wheels": str(wheels)}, time.monotonic() + 60)


def test_a_folder_of_wheels_is_all_that_a_closed_network_needs(wheels: Path, tmp_path: Path) -> None:
    environment = tmp_path / "cache" / "env" / "node"
    assert not ensure(environment, wheels)
    said = subprocess.run(
        [environment / "bin" / "python", "-c", "import lonely_stub; print(lonely_stub.VERSION)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "1.0\n"
    assert ensure(environment, wheels)


def test_a_wheel_that_is_not_the_locked_one_is_refused(wheels: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(next(wheels.iterdir()), "a") as archive:
        archive.writestr("more.py", "")
    with pytest.raises(NodectlError, match=r"pip: exited with \d+(.|\n)*[Hh]ash mismatch"):
        ensure(tmp_path / "cache" / "env" / "node", wheels)
    assert not cache.is_complete(tmp_path / "cache" / "env" / "node")


def test_a_folder_of_wheels_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"packages.wheels: '.*/nowhere' is no folder on this node"):
        ensure(tmp_path / "env" / "node", tmp_path / "nowhere")


def environment(folder: Path, packages: Mapping[str, str]) -> str:
    """Make an environment that has these packages in these versions."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)
    site = next(folder.glob("lib/python3.*/site-packages"))
    for name, version in packages.items():
        info = site / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return str(folder)


def test_an_environment_with_the_locked_versions_is_taken(tmp_path: Path) -> None:
    preinstalled.check({"path": environment(tmp_path / "golden", LOCKED)}, "gpu")


def test_an_environment_with_other_versions_is_refused_by_each_of_them(tmp_path: Path) -> None:
    path = environment(tmp_path / "golden", {"ai-dynamo": "1.6.0", "vllm": "0.30.0"})
    with pytest.raises(BadInputError) as refused:
        preinstalled.check({"path": path}, "gpu")
    assert str(refused.value) == (
        f"runtime.path: {path} has vllm 0.30.0, expected 0.31.0; nixl missing, expected 1.4.1: "
        "install these there, or write `allowOtherVersions: true`"
    )
    preinstalled.check({"path": path, "any_versions": True}, "gpu")
    preinstalled.check({"path": path}, "mocker")


def test_an_environment_without_dynamo_is_refused_whatever_is_allowed(tmp_path: Path) -> None:
    path = environment(tmp_path / "golden", {"vllm": "0.31.0"})
    with pytest.raises(BadInputError, match=r"ai-dynamo missing, expected 1\.6\.0"):
        preinstalled.check({"path": path, "any_versions": True}, "mocker")


@pytest.mark.parametrize("python", ["", "#!/bin/sh\nexit 3\n", "#!/bin/sh\necho not json\n"])
def test_a_folder_that_is_no_environment_is_refused_in_one_line(tmp_path: Path, python: str) -> None:
    (tmp_path / "bin").mkdir()
    if python:
        (tmp_path / "bin" / "python").write_text(python)
        (tmp_path / "bin" / "python").chmod(0o755)
    with pytest.raises(BadInputError, match=r"^runtime.path: .*bin/python") as refused:
        preinstalled.check({"path": str(tmp_path)}, "mocker")
    assert "\n" not in str(refused.value)
