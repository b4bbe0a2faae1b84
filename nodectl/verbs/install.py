"""`nodectl install`: puts on a machine what a runtime spec names, once per user.

It runs on a bare Python, before any environment exists. Everything lies in the cache.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nodectl.common import programs, surroundings
from nodectl.common.commandline import CommandLine
from nodectl.common.errors import BadInputError
from nodectl.common.layout import HOST_CACHE
from nodectl.common.steps import LIMIT_SECONDS
from nodectl.contract import codec
from nodectl.contract.runtime import ContainerEngine, InstallSpec, PreinstalledEngine, Proxy
from nodectl.host import lifetime, nvme, sandbox
from nodectl.runtime import cache, container, environments, libraries, models, preinstalled, stores
from nodectl.versions import S3


def main(argv: Sequence[str]) -> int:
    """Install the runtime spec (JSON) on standard input; print where it lies."""
    CommandLine(prog="nodectl install", description=main.__doc__).parse_args(argv)
    print(json.dumps(provide(codec.read(InstallSpec, sys.stdin.read(), "a runtime spec"))))
    return 0


def provide(spec: InstallSpec) -> dict[str, Any]:
    """Provide the environment, the engine, the stores and the model of `spec`.

    Returns `python` (nodectl's own) and `model` (a folder, or none), `variant`, and whether all was `cached`.
    Raises `BadInputError` for a spec that cannot be, `TimedOutError` after `LIMIT_SECONDS`, and
    `NodectlError`, with the last lines of its log, for a step that failed.
    """
    if _on_host():
        lifetime.keep(spec.lifetime)  # first: it holds whatever is wrong with all else
    _check(spec)
    proxy = spec.proxy or Proxy()
    with surroundings.proxied(proxy.http, proxy.https, proxy.no):
        return _provide(spec)


def _provide(spec: InstallSpec) -> dict[str, Any]:
    deadline = time.monotonic() + LIMIT_SECONDS
    if spec.cache == "nvme":
        nvme.ensure(cache.folder(), deadline)
    for library in spec.libraries:
        libraries.ensure(library)
    for program in spec.programs:
        programs.ensure(program)
    if isinstance(spec.engine, PreinstalledEngine):
        if _on_host():
            sandbox.check_readable([preinstalled.python_path(spec.engine.path)])
        preinstalled.check(spec.engine, spec.variant, sandbox.inside if _on_host() else list)
    environment = spec.environment
    cached = [
        environments.ensure(
            environment, cache.environment(environment), spec.packages, deadline, compiled=_on_host()
        )
    ]
    if isinstance(spec.engine, ContainerEngine):
        cached.append(container.ensure(spec.engine, spec.variant, cache.folder() / "images", deadline))
    if spec.stores is not None:
        cached.append(stores.ensure(spec.stores, cache.stores(), deadline))
    model, model_cached = _model(spec, deadline)
    if _on_host():
        sandbox.check_readable(_read_by_services(spec, model))
    return {
        "python": str(cache.python(environment)),
        "variant": spec.variant,
        "cached": all((*cached, model_cached)),
        "model": model,
    }


def _model(spec: InstallSpec, deadline: float) -> tuple[str | None, bool]:
    """Provide the model, if any is wanted; return its folder and whether nothing had to be done."""
    if spec.model is None:
        return None, True
    python, is_cached = cache.python(spec.environment), True
    if spec.model.kind == "s3":
        is_cached = environments.ensure(S3, cache.environment(S3), spec.packages, deadline)
        python = cache.python(S3)
    model, model_cached = models.ensure(spec.model, cache.models(), python, spec.secrets, deadline)
    return model, is_cached and model_cached


def _on_host() -> bool:
    """Return whether this installs for a host, whose services run as a user of their own."""
    return cache.folder() == HOST_CACHE


def _read_by_services(spec: InstallSpec, model: str | None) -> list[Path]:
    """Return one file of each folder that services of a host need; root runs what is in containers."""
    python = cache.python(spec.environment)
    if isinstance(spec.engine, ContainerEngine):
        return [python]
    return [python, *([] if model is None else [Path(model, "config.json")])]


def _check(spec: InstallSpec) -> None:
    if spec.model is not None:
        models.check(spec.model)
    if sys.version_info[:2] not in cache.PYTHONS:
        releases = ", ".join(f"{major}.{minor}" for major, minor in cache.PYTHONS)
        raise BadInputError(
            f"python: {sys.executable} is {sys.version.split()[0]}; run nodectl with one of {releases}"
        )
