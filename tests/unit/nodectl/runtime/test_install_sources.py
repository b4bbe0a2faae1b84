"""Sources of packages for an install, with the real pip and uv: wheels, an index, environments."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from nodectl.common.errors import BadInputError, NodectlError
from nodectl.contract.runtime import Packages, PreinstalledEngine
from nodectl.runtime import cache, environments, preinstalled
from tests.unit.nodectl.runtime.package_index import Index, serving

pytestmark = pytest.mark.timeout(120)

PROJECT = Path(__file__).parents[4]
LOCKED = {"ai-dynamo": "1.6.0", "vllm": "0.31.0", "nixl": "1.4.1"}


def wheel(folder: Path, name: str, version: str, program: str = "") -> str:
    """Write a wheel that holds nothing but its name, and perhaps a program of it; return its checksum."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    files = {
        f"{module}_stub.py": f'VERSION = "{version}"\n',
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **({f"{module}-{version}.data/scripts/{name}": program} if program else {}),
    }
    path = folder / f"{module}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in files.items():
            entry = zipfile.ZipInfo(file)
            entry.external_attr = (0o100755 if "/scripts/" in file else 0o100644) << 16
            archive.writestr(entry, text)
        archive.writestr(f"{info}/RECORD", "".join(f"{file},,\n" for file in [*files, f"{info}/RECORD"]))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(autouse=True)
def uv(monkeypatch: pytest.MonkeyPatch) -> None:
    """The uv that `scripts/env` puts on PATH, whoever runs this test."""
    monkeypatch.setenv("PATH", f"{PROJECT}/.toolchain/bin{os.pathsep}{os.environ['PATH']}")


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
    return environments.ensure("node", folder, Packages(wheels=str(wheels)), time.monotonic() + 60)


@pytest.fixture
def index(wheels: Path) -> Iterator[Index]:
    with serving(Index(wheels)) as found:
        yield found


def ensure_from(index: Index | str, folder: Path) -> bool:
    url = index if isinstance(index, str) else index.simple
    return environments.ensure("node", folder, Packages(index=url), time.monotonic() + 60)


@pytest.fixture
def without_uv(wheels: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without uv: pip gets one from where all packages come from, here one that starts the real."""
    real = shutil.which("uv")
    checksum = wheel(wheels, "uv", "0.1", f'#!/bin/sh\nexec {real} "$@"\n')
    lock = tmp_path / "uv.txt"
    lock.write_text(f"uv==0.1 --hash=sha256:{checksum}\n")
    packages = tmp_path / "lock.txt"
    monkeypatch.setattr(environments, "lock_file", lambda name: lock if name == "uv" else packages)
    monkeypatch.setenv("PATH", "/usr/bin:/bin")


def has_lonely(environment: Path) -> bool:
    code = "import lonely_stub; print(lonely_stub.VERSION)"
    ran = subprocess.run(
        [environment / "bin" / "python", "-c", code], capture_output=True, text=True, check=True
    )
    return ran.stdout == "1.0\n"


def test_an_index_is_all_that_is_asked(index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "UV_DEFAULT_INDEX", "UV_INDEX_URL", "UV_INDEX"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    environment = tmp_path / "cache" / "env" / "node"
    assert not ensure_from(index, environment)
    assert has_lonely(environment)
    assert "GET /simple/lonely/" in index.requests
    asked = len(index.requests)
    assert ensure_from(index, environment)
    assert len(index.requests) == asked


@pytest.mark.usefixtures("without_uv")
def test_a_machine_without_uv_gets_one_by_pip_from_the_same_index(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS"):
        monkeypatch.setenv(name, "http://127.0.0.1:9/simple")
    environment = tmp_path / "cache" / "env" / "node"
    assert not ensure_from(index, environment)
    assert has_lonely(environment)
    assert "GET /files/uv-0.1-py3-none-any.whl" in index.requests


def test_a_login_for_an_index_comes_from_netrc_and_is_told_to_nobody(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    index.login = "me:planted"
    environment = tmp_path / "cache" / "env" / "node"
    with pytest.raises(NodectlError, match="401"):
        ensure_from(index, environment)
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login me password planted\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    assert not ensure_from(index, environment)
    assert has_lonely(environment)
    assert "planted" not in "".join(capfd.readouterr())


@pytest.mark.parametrize("broken", ["away", "other", "missing"])
def test_an_index_that_has_not_what_is_locked_is_an_error_with_its_reason(
    index: Index, tmp_path: Path, broken: str
) -> None:
    path = next(index.wheels.iterdir())
    if broken == "other":
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("more.py", "")
    elif broken == "missing":
        path.unlink()
    url = "http://127.0.0.1:9/simple" if broken == "away" else index.simple
    with pytest.raises(NodectlError) as refused:
        ensure_from(url, tmp_path / "cache" / "env" / "node")
    assert {"away": "127.0.0.1:9", "other": "ismatch", "missing": "lonely"}[broken] in str(refused.value)
    assert not cache.is_complete(tmp_path / "cache" / "env" / "node")


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
    with pytest.raises(BadInputError, match=r"packages.wheels: .*/nowhere is no folder on this node"):
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
    preinstalled.check(PreinstalledEngine(path=environment(tmp_path / "golden", LOCKED)), "gpu")


def test_an_environment_with_other_versions_is_refused_by_each_of_them(tmp_path: Path) -> None:
    path = environment(tmp_path / "golden", {"ai-dynamo": "1.6.0", "vllm": "0.30.0"})
    with pytest.raises(BadInputError) as refused:
        preinstalled.check(PreinstalledEngine(path=path), "gpu")
    assert str(refused.value) == (
        f"runtime.path: {path} has vllm 0.30.0, expected 0.31.0; nixl missing, expected 1.4.1: "
        "install these there, or write `allowOtherVersions: true`"
    )
    preinstalled.check(PreinstalledEngine(path=path, any_versions=True), "gpu")
    preinstalled.check(PreinstalledEngine(path=path), "mocker")


def test_an_environment_without_dynamo_is_refused_whatever_is_allowed(tmp_path: Path) -> None:
    path = environment(tmp_path / "golden", {"vllm": "0.31.0"})
    with pytest.raises(BadInputError, match=r"ai-dynamo missing, expected 1\.6\.0"):
        preinstalled.check(PreinstalledEngine(path=path, any_versions=True), "mocker")


@pytest.mark.parametrize("python", ["", "#!/bin/sh\nexit 3\n", "#!/bin/sh\necho not json\n"])
def test_a_folder_that_is_no_environment_is_refused_in_one_line(tmp_path: Path, python: str) -> None:
    (tmp_path / "bin").mkdir()
    if python:
        (tmp_path / "bin" / "python").write_text(python)
        (tmp_path / "bin" / "python").chmod(0o755)
    with pytest.raises(BadInputError, match=r"^runtime.path: .*bin/python") as refused:
        preinstalled.check(PreinstalledEngine(path=str(tmp_path)), "mocker")
    assert "\n" not in str(refused.value)
