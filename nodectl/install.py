"""`nodectl install`: puts on a machine what a runtime spec names, once per user.

Standard library only: it runs on a bare Python before any environment exists. Everything lies in the cache.
"""

import argparse
import json
import stat
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from nodectl import (
    cache,
    container,
    environments,
    libraries,
    lifetime,
    models,
    nvme,
    preinstalled,
    programs,
    stores,
)
from nodectl.errors import BadInputError, NodectlError
from nodectl.layout import HOST_CACHE
from nodectl.steps import LIMIT_SECONDS
from nodectl.versions import NODE, S3

VARIANTS: Final = ("mocker", "cpu", "gpu")
"""What a runtime can serve with."""


def main(argv: Sequence[str]) -> int:
    """Install the runtime spec (JSON) on standard input; print where it lies."""
    argparse.ArgumentParser(prog="nodectl install", description=main.__doc__).parse_args(argv)
    print(json.dumps(install(_read_spec(sys.stdin.read()))))
    return 0


def install(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Provide the environment, the engine, the stores and the model of `spec` (the JSON of `RuntimeSpec`).

    A gated hub model needs `secrets: {HF_TOKEN: ...}` beside the spec's own keys.

    Returns `python` (nodectl's own) and `model` (a folder, or none), `variant`, and whether all was `cached`.
    Raises `BadInputError` for a spec that cannot be, `TimedOutError` after `LIMIT_SECONDS`, and
    `NodectlError`, with the last lines of its log, for a step that failed.
    """
    if _on_host():
        lifetime.keep(spec.get("lifetime"))  # first: it holds whatever is wrong with all else
    _check(spec)
    deadline = time.monotonic() + LIMIT_SECONDS
    if spec.get("cache") == "nvme":
        nvme.ensure(cache.folder(), deadline)
    for library in spec.get("libraries", ()):
        libraries.ensure(library)
    for program in spec.get("programs", ()):
        programs.ensure(program)
    engine = _engine(spec)
    own = NODE if engine["kind"] in ("preinstalled", "container") else spec["variant"]
    cached = [
        environments.ensure(
            own, cache.environment(own), spec.get("packages") or {}, deadline, compiled=_on_host()
        )
    ]
    if engine["kind"] == "preinstalled":
        preinstalled.check(engine, spec["variant"])
    elif engine["kind"] == "container":
        cached.append(container.ensure(engine, spec["variant"], cache.folder() / "images", deadline))
    cached.append(stores.ensure(spec.get("stores") or {}, cache.stores(), deadline))
    model, there = _model(spec, own, deadline)
    if _on_host():
        for needed in _read_by_services(own, engine, model):
            _check_open(needed)
    return {
        "python": str(cache.python(own)),
        "variant": spec["variant"],
        "cached": all((*cached, there)),
        "model": model,
    }


def _model(spec: Mapping[str, Any], own: str, deadline: float) -> tuple[str | None, bool]:
    """Provide the model, if any is wanted; return its folder and whether nothing had to be done."""
    if spec["model"] is None:
        return None, True
    python, there = cache.python(own), True
    if spec["model"]["kind"] == "s3":
        there = environments.ensure(S3, cache.environment(S3), spec.get("packages") or {}, deadline)
        python = cache.python(S3)
    model, found = models.ensure(spec["model"], cache.models(), python, spec.get("secrets", {}), deadline)
    return model, there and found


def _on_host() -> bool:
    """Return whether this installs for a host, whose services run as a user of their own."""
    return cache.folder() == HOST_CACHE


def _read_by_services(own: str, engine: Mapping[str, Any], model: str | None) -> list[Path]:
    """Return one file of each folder that services of a host need; root runs what is in containers."""
    if engine["kind"] == "container":
        return [cache.python(own)]
    golden = [preinstalled.python_path(engine["path"])] if engine["kind"] == "preinstalled" else []
    files = [] if model is None else [Path(model, "config.json")]
    return [cache.python(own), *golden, *files]


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


def _engine(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    return spec.get("engine") or {"kind": "venv"}


def _read_spec(text: str) -> Mapping[str, Any]:
    try:
        spec = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInputError(f"standard input: expected a runtime spec as JSON, got {error}") from None
    if not isinstance(spec, dict):
        raise BadInputError(f"standard input: expected a JSON object, got {type(spec).__name__}")
    return spec


def _check(spec: Mapping[str, Any]) -> None:
    variant, engine = spec.get("variant"), _engine(spec)
    if variant not in VARIANTS:
        raise BadInputError(f"variant: {variant!r} is unknown; use one of {', '.join(VARIANTS)}")
    if not isinstance(engine, dict) or engine.get("kind") not in ("venv", "preinstalled", "container"):
        raise BadInputError(
            f"engine: expected {{kind}}, one of venv, preinstalled, container, got {engine!r}"
        )
    if "model" not in spec or spec["model"] is not None:  # that none is wanted must be said
        models.check(spec.get("model"))
    if sys.version_info[:2] not in cache.PYTHONS:
        known = ", ".join(f"{major}.{minor}" for major, minor in cache.PYTHONS)
        raise BadInputError(
            f"python: {sys.executable} is {sys.version.split()[0]}; run nodectl with one of {known}"
        )
