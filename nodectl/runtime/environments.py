"""Makes Python environments of locked versions, with uv, from a package index or from a folder of wheels."""

import contextlib
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

from nodectl.common import isolated, steps, surroundings
from nodectl.common.errors import BadInputError, NodectlError
from nodectl.common.redaction import redacted
from nodectl.common.steps import Steps, say
from nodectl.contract.runtime import Packages
from nodectl.runtime.cache import is_complete, marker
from nodectl.versions import NODE, S3, lock_digest, lock_file

SIZES: Final = {NODE: 0.2, S3: 0.1, "mocker": 0.8, "cpu": 7.0, "gpu": 9.0}
"""Variant -> what its environment takes on disk, in GB."""


def ensure(
    variant: str, folder: Path, packages: Packages, deadline: float, *, compiled: bool = False
) -> bool:
    """Install `variant` in `folder` unless it is there; return whether it was.

    `compiled` is for those who run it and cannot write there. Raises `BadInputError` for a wheel folder that
    is not there.
    """
    if is_complete(folder):
        with contextlib.suppress(OSError):  # a cache that is only readable
            os.utime(marker(folder))
        return True
    origin = _origin(packages)
    with steps.locked(folder, deadline) as step:
        if is_complete(folder):
            return True
        _check_room(folder.parent, variant)
        say(f"installing the {variant} environment ({SIZES[variant]} GB; a minute or more when not cached)")
        start = time.monotonic()
        with surroundings.without_indexes() if origin else contextlib.nullcontext():
            uv = _uv(folder.parents[1], step, origin)
            step.run([uv, "venv", "--clear", "--python", sys.executable, str(folder)])
            sync = [uv, "pip", "sync", "--require-hashes", "--python", str(folder / "bin" / "python")]
            sync += [*(["--compile-bytecode"] if compiled else []), *origin, str(lock_file(variant))]
            step.run(sync, tell=f"still installing the {variant} environment")
        if variant == "cpu":
            _let_nixl_rest(folder)
        marker(folder).touch()
        say(f"installed the {variant} environment in {time.monotonic() - start:.0f} s")
    return False


def _check_room(folder: Path, variant: str) -> None:
    """Refuse at once what the disk has no room for, rather than fill it for minutes and fail."""
    required_gb, free_gb = SIZES[variant], shutil.disk_usage(folder).free / 1e9
    if free_gb < required_gb:
        raise NodectlError(
            f"{folder}: the {variant} environment takes {required_gb} GB and the disk has {free_gb:.1f} GB"
            " free; make room, or have the folder on a larger disk"
        )


def _origin(packages: Packages) -> list[str]:
    """Return what tells uv and pip alike where packages come from; nothing for their own configuration."""
    if packages.wheels:
        if not Path(packages.wheels).is_dir():
            wheels = redacted(packages.wheels)
            raise BadInputError(f"packages.wheels: {wheels} is no folder on this node; put the wheels there")
        return ["--no-index", "--find-links", packages.wheels]
    return ["--index-url", packages.index] if packages.index else []


def _uv(cache: Path, step: Steps, origin: list[str]) -> str:
    """Return a uv that works: the one on PATH, else one of our own from where all packages come from."""
    uv = shutil.which("uv")
    if uv and subprocess.run([uv, "--version"], capture_output=True, check=False).returncode == 0:
        return uv
    folder = cache / "uv" / lock_digest("uv")
    program = folder / "bin" / "uv"
    if not program.is_file():
        probe = isolated.module(
            sys.executable, "pip", "--version"
        )  # it may have been started without its packages
        if subprocess.run(probe, capture_output=True, check=False).returncode:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise NodectlError(
                f"{sys.executable} has no pip, and there is no uv; install one of them on this machine:"
                f" `apt install python3-pip`, `dnf install python{version}-pip`, or uv"
            )
        say("installing uv")
        pip = isolated.module(sys.executable, "pip", "install", "--quiet", *origin, "--require-hashes")
        step.run([*pip, "--requirement", str(lock_file("uv")), "--upgrade", "--target", str(folder)])
    return str(program)


def _let_nixl_rest(environment: Path) -> None:
    """Set NIXL's progress thread to look every millisecond instead of without a pause.

    It is made for machines with cores to spare: each idle agent keeps one core busy, and two workers
    leave a 2-core machine none to serve with. Transfers were as fast with the pause.
    """
    for source in environment.glob("lib/python3.*/site-packages/nixl_cu1*/_api.py"):
        text = source.read_text(encoding="utf-8")
        patched = text.replace("agent_config.pthrDelay = 0\n", "agent_config.pthrDelay = 1000\n")
        if patched == text:
            raise NodectlError(f"{source}: expected `agent_config.pthrDelay = 0`; NIXL's version changed")
        source.unlink()  # a link into uv's cache: writing through it would change every environment
        source.write_text(patched, encoding="utf-8")
