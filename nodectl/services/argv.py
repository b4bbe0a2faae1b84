"""From a service of the manifest to the arguments that start it; nothing is ever quoted for a shell."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nodectl.common import programs as machine
from nodectl.contract.manifest import FlagValue, Service
from nodectl.contract.runtime import MACHINE_PROGRAMS
from nodectl.contract.tokens import NAMES, fill
from nodectl.runtime import stores


@dataclass(frozen=True)
class Folders:
    """The node's own folders: what `${data}`, `${models}` and so on stand for, and where programs are."""

    environment: Path
    """nodectl's own: its modules run there."""
    engine: str
    """The Python of everything else: a path on the node, or a name on the image's PATH."""
    stores: Mapping[str, Path]
    """NATS and etcd by program; none where neither runs."""
    data: Path
    models: Path
    s3: Path
    model: Path | None = None
    """The model from the hub; None for one from elsewhere."""


def argv(service: Service, folders: Folders) -> list[str]:
    """Return the program or module of `service` with its flags in the order of their names."""
    arguments = [
        argument
        for name, value in sorted(service.flags.items())
        for argument in _flag(name, filled(value, folders))
    ]
    if service.module in MACHINE_PROGRAMS:
        return [machine.find(service.module), *arguments]
    if service.module in stores.PROGRAMS:
        return [str(folders.stores[service.module]), *arguments]
    python = str(folders.environment / "bin" / "python") if is_own(service) else folders.engine
    return [python, "-m", service.module, *arguments]


def is_own(service: Service) -> bool:
    """Return whether the service is a module of nodectl, which runs where nodectl does."""
    return service.module.startswith("nodectl.")


def _flag(name: str, value: Any) -> list[str]:
    """Return one flag's arguments (`nodectl.contract.manifest.FlagValue` has the rules)."""
    if len(name) == 1:
        return [f"-{name}"] if value is True else [f"-{name}", _text(value)]
    if value is True:
        return [f"--{name}"]
    if value is False:
        return [f"--no-{name}"]
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [f"--{name}", *map(_text, value)]
    text = _text(value)
    # argparse takes an argument that starts with a dash for the next flag
    return [f"--{name}={text}"] if text.startswith("-") else [f"--{name}", text]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def filled(value: FlagValue | Any, folders: Folders) -> Any:
    """Return `value` with the node's folders in place of their tokens, however deep."""
    if isinstance(value, str):
        paths = {name: getattr(folders, name) for name in NAMES}
        return fill(value, {name: str(folder) for name, folder in paths.items() if folder is not None})
    if isinstance(value, Mapping):
        return {key: filled(item, folders) for key, item in value.items()}
    if isinstance(value, list):
        return [filled(item, folders) for item in value]
    return value
