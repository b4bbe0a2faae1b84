"""A node whose engine comes from elsewhere, in a cache of its own; podman as far as this machine has it."""

import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from nodectl.verbs.install import provide
from program.loopback import first_address
from tests.engine.nodectl.node import Node
from tests.engine.runtimes.deployment import Deployment
from tests.install_specs import spec

PORTS = (2379, 2380, 4222, 8000, 8222, 9089, 9090, 9400, 9401, 9402)
IMAGE = "localhost/dynamo-for-tests:1"
BEHIND_PROXY = "registry.invalid"
"""A registry that only a test's proxy finds: the name is nowhere (RFC 2606)."""

PODMAN = """\
#!/usr/bin/env python3
import os, sys
arguments = sys.argv[1:]
if arguments[0] == "run":
    limits = ["--ulimit=nofile=4096:4096", "--ulimit=nproc=4096:4096"]
    volumes = [f"--volume={{folder}}:{{folder}}:ro" for folder in {folders!r}]
    wanted = [argument for argument in arguments[1:] if argument != "--ulimit=memlock=-1"]
    arguments = ["run", "--init-path={init}", *limits, *volumes, *wanted]
os.environ["CONTAINERS_REGISTRIES_CONF"] = "{registries}"  # in place of /etc/containers/registries.conf
os.execv("{podman}", ["podman", "--cgroup-manager=cgroupfs", "--runtime=runc", "--storage-driver=vfs",
         "--root={store}/root", "--runroot={store}/run", *arguments])
"""
"""Podman without systemd, in a machine that may be a container itself: no limit can be raised there.

The image holds nothing: a container sees this machine's programs and the environment of the mocker.
"""


@pytest.fixture(scope="session")
def mocker() -> Path:
    """The environment of the mocker, as the user's cache has it."""
    found = provide(spec())
    return Path(found["python"]).parents[1]


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Deployment]:
    """One node, not yet installed; it is removed at the end."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    node = Node(tmp_path / ".run" / "stack" / "node-1", tmp_path / "cache")
    deployment = Deployment(node, first_address(tmp_path, "stack", tmp_path, PORTS))
    yield deployment
    node.done("remove")
    assert not node.processes()


@pytest.fixture
def podman(tmp_path: Path, mocker: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A podman that is first on PATH and has one image; what is left in it at the end goes.

    A test asks for it before the deployment, which needs it until its own end.
    """
    missing = [name for name in ("podman", "runc", "catatonit") if shutil.which(name) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and {' '.join(missing) or 'nothing else'} (packages of Debian)")
    store = tempfile.mkdtemp(prefix="podman")  # podman takes no path of more than 50 characters
    program = tmp_path / "bin" / "podman"
    program.parent.mkdir()
    registries = tmp_path / "registries.conf"
    registries.write_text(
        "".join(
            f'[[registry]]\nlocation = "{host}"\ninsecure = true\n' for host in ("127.0.0.1", BEHIND_PROXY)
        )
    )
    script = PODMAN.format(
        registries=registries,
        folders=["/usr", sys.base_prefix, str(mocker)],
        init=shutil.which("catatonit"),
        podman=shutil.which("podman"),
        store=store,
    )
    program.write_text(script)
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    archive = _skeleton(tmp_path, mocker)
    change = f"ENV PATH={mocker}/bin:/usr/bin"
    subprocess.run([program, "import", "--change", change, archive, IMAGE], check=True, capture_output=True)
    yield program
    subprocess.run([program, "rm", "--all", "--force"], check=True, capture_output=True)
    shutil.rmtree(store)


@pytest.fixture
def layout(podman: Path, tmp_path: Path) -> Path:
    """The image as a registry serves it."""
    folder = tmp_path / "layout"
    subprocess.run([podman, "save", "--format", "oci-dir", "-o", folder, IMAGE], check=True)
    return folder


def _skeleton(folder: Path, mocker: Path) -> Path:
    """Write an image's root that has only folders and links to fill."""
    root = folder / "skeleton"
    for name in ("usr", "etc", "tmp", "proc", "sys", "dev", "run", "root", "var/tmp"):
        (root / name).mkdir(parents=True)
    for name in ("bin", "sbin", "lib", "lib64"):
        (root / name).symlink_to(f"usr/{name}")
    (root / "etc" / "passwd").write_text("root:x:0:0:root:/root:/bin/sh\n")
    archive = folder / "skeleton.tar"
    with tarfile.open(archive, "w") as tar:
        tar.add(root, arcname=".")
    return archive
