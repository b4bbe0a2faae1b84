"""`nodectl install`: puts on a machine what a runtime spec names, once per user.

It runs on a bare Python, before any environment exists. Everything lies in the cache.
"""

import json
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nodectl.common import programs, surroundings
from nodectl.common.commandline import CommandLine
from nodectl.common.errors import BadInputError
from nodectl.common.layout import HOST_CACHE
from nodectl.common.redaction import shown
from nodectl.common.steps import LIMIT_SECONDS
from nodectl.host import lifetime, nvme, sandbox
from nodectl.runtime import cache, container, environments, libraries, models, preinstalled, stores
from nodectl.versions import ENGINE_VARIANTS, NODE, S3


def main(argv: Sequence[str]) -> int:
    """Install the runtime spec (JSON) on standard input; print where it lies."""
    CommandLine(prog="nodectl install", description=main.__doc__).parse_args(argv)
    print(json.dumps(provide(_read_spec(sys.stdin.read()))))
    return 0


def provide(spec: Mapping[str, Any]) -> dict[str, Any]:
    """Provide the environment, the engine, the stores and the model of `spec` (the JSON of `RuntimeSpec`).

    A gated hub model needs `secrets: {HF_TOKEN: ...}` beside the spec's own keys.

    Returns `python` (nodectl's own) and `model` (a folder, or none), `variant`, and whether all was `cached`.
    Raises `BadInputError` for a spec that cannot be, `TimedOutError` after `LIMIT_SECONDS`, and
    `NodectlError`, with the last lines of its log, for a step that failed.
    """
    if _on_host():
        lifetime.keep(spec.get("lifetime"))  # first: it holds whatever is wrong with all else
    _check(spec)
    with surroundings.proxied(spec.get("proxy")):
        return _provide(spec)


def _provide(spec: Mapping[str, Any]) -> dict[str, Any]:
    deadline = time.monotonic() + LIMIT_SECONDS
    if spec.get("cache") == "nvme":
        nvme.ensure(cache.folder(), deadline)
    for library in spec.get("libraries", ()):
        libraries.ensure(library)
    for program in spec.get("programs", ()):
        programs.ensure(program)
    engine = _engine(spec)
    if engine["kind"] == "preinstalled":
        if _on_host():
            sandbox.check_readable([preinstalled.python_path(engine["path"])])
        preinstalled.check(engine, spec["variant"], sandbox.inside if _on_host() else list)
    own = NODE if engine["kind"] in ("preinstalled", "container") else spec["variant"]
    cached = [
        environments.ensure(
            own, cache.environment(own), spec.get("packages") or {}, deadline, compiled=_on_host()
        )
    ]
    if engine["kind"] == "container":
        cached.append(container.ensure(engine, spec["variant"], cache.folder() / "images", deadline))
    cached.append(stores.ensure(spec.get("stores") or {}, cache.stores(), deadline))
    model, there = _model(spec, own, deadline)
    if _on_host():
        sandbox.check_readable(_read_by_services(own, engine, model))
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
    return [cache.python(own), *([] if model is None else [Path(model, "config.json")])]


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
    if variant not in ENGINE_VARIANTS:
        raise BadInputError(
            f"variant: {shown(variant) or 'none'} is unknown; use one of {', '.join(ENGINE_VARIANTS)}"
        )
    if not isinstance(engine, dict) or engine.get("kind") not in ("venv", "preinstalled", "container"):
        raise BadInputError(
            f"engine: expected {{kind}}, one of venv, preinstalled, container, got {shown(engine)}"
        )
    if "model" not in spec or spec["model"] is not None:  # that none is wanted must be said
        models.check(spec.get("model"))
    if sys.version_info[:2] not in cache.PYTHONS:
        known = ", ".join(f"{major}.{minor}" for major, minor in cache.PYTHONS)
        raise BadInputError(
            f"python: {sys.executable} is {sys.version.split()[0]}; run nodectl with one of {known}"
        )
