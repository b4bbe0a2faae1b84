"""`nodectl install`: makes the environment and the model that a runtime spec names, once per user.

Standard library only: it runs on a bare Python before any environment exists. Everything lies in the cache,
`${XDG_CACHE_HOME:-~/.cache}/dynamo-multinode`: `env/` the environments, named after their lock files, so that
another set of versions is another environment; `models/` the models; `uv/` uv, where a node has none.
"""

import argparse
import hashlib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from nodectl import tinymodel
from nodectl.converge import say
from nodectl.errors import BadInputError, NodectlError
from nodectl.layout import HOST_CACHE
from nodectl.steps import LIMIT_SECONDS, Steps, locked
from nodectl.versions import lock_digest, lock_file

VARIANTS: Final = {"mocker": 0.8, "cpu": 7.0, "gpu": 9.0}
"""Variant -> what its environment takes on disk, in GB."""

PYTHONS: Final = ((3, 11), (3, 12), (3, 13))
"""What ai-dynamo, vLLM and NIXL all ship wheels for."""

GENERATED_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def main(argv: Sequence[str]) -> int:
    """Install the runtime spec (JSON) on standard input; print where it lies."""
    argparse.ArgumentParser(prog="nodectl install", description=main.__doc__).parse_args(argv)
    print(json.dumps(install(_read_spec(sys.stdin.read()))))
    return 0


def install(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Make the environment and the model of `spec` (the JSON of `RuntimeSpec`).

    A gated hub model needs `secrets: {HF_TOKEN: ...}` beside the spec's own keys.

    Returns `python` and `model` (a folder), `variant`, and whether all of it was `cached`. Raises
    `BadInputError` for a spec that cannot be, `TimedOutError` after `LIMIT_SECONDS`, and `NodectlError`, with
    the last lines of its log, for a step that failed.
    """
    _check(spec)
    deadline = time.monotonic() + LIMIT_SECONDS
    cached = _ensure_environment(spec["variant"], deadline)
    model, model_cached = _ensure_model(spec, deadline)
    if _on_host():
        for needed in (python_path(spec["variant"]), Path(model, "config.json")):
            _check_open(needed)
    return {
        "python": str(python_path(spec["variant"])),
        "variant": spec["variant"],
        "cached": cached and model_cached,
        "model": model,
    }


def environment_path(variant: str, python: tuple[int, int] = sys.version_info[:2]) -> Path:
    """Return the folder of `variant`'s environment for a Python, that which runs this; installed or not."""
    return cache_folder() / "env" / f"{variant}-py{python[0]}.{python[1]}-{lock_digest(variant)}"


def installed_python(variant: str) -> Path:
    """Return the Python of an environment of `variant` that is complete.

    That is rather the one for the Python that runs this, but a host may have got another Python since.
    Raises `BadInputError` for an unknown variant, `NodectlError` where there is none.
    """
    if variant not in VARIANTS:
        raise BadInputError(f"variant: {variant!r} is unknown; use one of {', '.join(VARIANTS)}")
    for python in dict.fromkeys([sys.version_info[:2], *reversed(PYTHONS)]):
        if _is_complete(environment_path(variant, python)):
            return environment_path(variant, python) / "bin" / "python"
    raise NodectlError(
        f"{environment_path(variant)}: the {variant} environment is not here; `nodectl install` makes it"
    )


def python_path(variant: str) -> Path:
    """Return the Python of `variant`'s environment."""
    return environment_path(variant) / "bin" / "python"


def generated_models_path() -> Path:
    """Return the folder of the generated models, each below its name: `${models}` in manifests."""
    return cache_folder() / "models" / f"generated-{tinymodel.VERSION}"


def cache_folder() -> Path:
    """Return the folder that holds everything that an install makes."""
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "dynamo-multinode"


def _on_host() -> bool:
    """Return whether this installs for a host, whose services run as a user of their own."""
    return cache_folder() == HOST_CACHE


def _read_spec(text: str) -> Mapping[str, Any]:
    try:
        spec = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"standard input: expected a runtime spec as JSON, got {error}") from None
    if not isinstance(spec, dict):
        raise BadInputError(f"standard input: expected a JSON object, got {type(spec).__name__}")
    return spec


def _check(spec: Mapping[str, Any]) -> None:
    variant, model = spec.get("variant"), spec.get("model")
    if variant not in tuple(VARIANTS):
        raise BadInputError(f"variant: {variant!r} is unknown; use one of {', '.join(VARIANTS)}")
    if not isinstance(model, dict) or not isinstance(model.get("name"), str):
        raise BadInputError(f"model: expected {{kind, name}}, got {model!r}")
    name = model["name"]
    match model.get("kind"):
        case "generated":
            if not GENERATED_NAME.fullmatch(name):
                raise BadInputError(
                    f"model.name: {name!r} names no folder; use letters, digits, '.', '_', '-'"
                )
        case "path":
            if not (Path(name) / "config.json").is_file():
                raise BadInputError(
                    f"model.name: {name!r} holds no config.json on this node; put the model there"
                )
        case "hub":
            if name.startswith("-"):
                raise BadInputError(f"model.name: {name!r} is no model id; expected organisation/model")
        case kind:
            raise BadInputError(f"model.kind: {kind!r} is unknown; use one of generated, path, hub")
    if sys.version_info[:2] not in PYTHONS:
        known = ", ".join(f"{major}.{minor}" for major, minor in PYTHONS)
        raise BadInputError(
            f"python: {sys.executable} is {sys.version.split()[0]}; run nodectl with one of {known}"
        )


def _ensure_environment(variant: str, deadline: float) -> bool:
    """Install `variant` unless it is there; return whether it was."""
    folder = environment_path(variant)
    if _is_complete(folder):
        return True
    with locked(folder, deadline) as steps:
        if _is_complete(folder):
            return True
        _check_room(folder.parent, variant)
        size = f"{VARIANTS[variant]} GB"
        say(f"installing the {variant} environment ({size}; a minute or more when not cached)")
        started = time.monotonic()
        uv = _uv(steps)
        steps.run([uv, "venv", "--clear", "--python", sys.executable, str(folder)])
        python = str(folder / "bin" / "python")
        # services of hosts cannot write there, so none would ever keep what it compiled
        compiled = ["--compile-bytecode"] if _on_host() else []
        sync = [uv, "pip", "sync", "--require-hashes", *compiled, "--python", python]
        steps.run([*sync, str(lock_file(variant))])
        if variant == "cpu":
            _let_nixl_rest(folder)
        _marker(folder).touch()
        say(f"installed the {variant} environment in {time.monotonic() - started:.0f} s")
    return False


def _check_room(folder: Path, variant: str) -> None:
    """Refuse at once what the disk has no room for, rather than fill it for minutes and fail."""
    takes, free = VARIANTS[variant], shutil.disk_usage(folder).free / 1e9
    if free < takes:
        raise NodectlError(
            f"{folder}: the {variant} environment takes {takes} GB and the disk has {free:.1f} GB free;"
            " make room, or have the folder on a larger disk"
        )


def _check_open(path: Path) -> None:
    """Refuse what root of a host can read and its services cannot: each of their starts would fail."""
    for link in (path, path.resolve()):
        for part in reversed((link, *link.parents)):
            mode = part.stat().st_mode
            if not mode & (stat.S_IXOTH if part.is_dir() else stat.S_IROTH):
                raise NodectlError(
                    f"{path}: services cannot read it, since {part} is closed to other users"
                    f" (mode {stat.S_IMODE(mode):03o}); open it, or have the file elsewhere"
                )


def _ensure_model(spec: Mapping[str, Any], deadline: float) -> tuple[str, bool]:
    """Provide the model; return its folder and whether it was there."""
    model = spec["model"]
    if model["kind"] == "path":
        return model["name"], True
    if model["kind"] == "generated":
        return _ensure_generated(model["name"], deadline)
    return _ensure_downloaded(spec, deadline)


def _ensure_generated(name: str, deadline: float) -> tuple[str, bool]:
    folder = generated_models_path() / name
    if folder.is_dir():
        return str(folder), True
    with locked(folder, deadline):
        if folder.is_dir():
            return str(folder), True
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        tinymodel.write(partial)
        partial.rename(folder)
    return str(folder), False


def _ensure_downloaded(spec: Mapping[str, Any], deadline: float) -> tuple[str, bool]:
    """Download a hub model into the user's Hugging Face cache; `known` remembers where it lies there."""
    name, revision = spec["model"]["name"], spec["model"].get("revision") or ""
    known = (
        cache_folder() / "models" / f"hub-{hashlib.sha256(f'{name}@{revision}'.encode()).hexdigest()[:12]}"
    )
    if _names_folder(known):
        return known.read_text(encoding="utf-8"), True
    with locked(known, deadline) as steps:
        cached = _names_folder(known)
        if not cached:
            say(f"downloading {name}")
            python, script = str(python_path(spec["variant"])), str(Path(__file__).with_name("hub.py"))
            steps.run([python, script, name, revision, str(known)], spec.get("secrets", {}))
    return known.read_text(encoding="utf-8"), cached


def _names_folder(known: Path) -> bool:
    return known.is_file() and Path(known.read_text(encoding="utf-8")).is_dir()


def _uv(steps: Steps) -> str:
    """Return a uv that works: the one on PATH, else one of our own from the package index."""
    found = shutil.which("uv")
    if found and subprocess.run([found, "--version"], capture_output=True, check=False).returncode == 0:
        return found
    folder = cache_folder() / "uv" / lock_digest("uv")
    program = folder / "bin" / "uv"
    if not program.is_file():
        look = [sys.executable, "-c", "import pip"]  # this Python may have been started without its packages
        if subprocess.run(look, capture_output=True, check=False).returncode:
            version = f"{sys.version_info.major}.{sys.version_info.minor}"
            raise NodectlError(
                f"{sys.executable} has no pip, and there is no uv; install one of them on this machine:"
                f" `apt install python3-pip`, `dnf install python{version}-pip`, or uv"
            )
        say("installing uv")
        pip = [
            sys.executable,
            "-m",
            "pip",
            "install",
            "--quiet",
            "--require-hashes",
            "--requirement",
            str(lock_file("uv")),
        ]
        steps.run([*pip, "--upgrade", "--target", str(folder)])
    return str(program)


def _let_nixl_rest(environment: Path) -> None:
    """Have NIXL's progress thread look every millisecond instead of without a pause.

    It is made for machines with cores to spare: each idle agent keeps one core busy, and two workers
    leave a 2-core machine none to serve with. Transfers were as fast with the pause.
    """
    for source in environment.glob("lib/python3.*/site-packages/nixl_cu1*/_api.py"):
        text = source.read_text(encoding="utf-8")
        rested = text.replace("agent_config.pthrDelay = 0\n", "agent_config.pthrDelay = 1000\n")
        if rested == text:
            raise NodectlError(f"{source}: expected `agent_config.pthrDelay = 0`; NIXL's version changed")
        source.unlink()  # a link into uv's cache: writing through it would change every environment
        source.write_text(rested, encoding="utf-8")


def _is_complete(environment: Path) -> bool:
    return _marker(environment).is_file() and (environment / "bin" / "python").is_file()


def _marker(environment: Path) -> Path:
    """Return the file that is written last: an environment without it is made anew."""
    return environment / ".complete"
