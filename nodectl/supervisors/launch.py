"""The launch file of a service: nodectl renders it from the manifest, and `nodectl wait` reads it."""

import contextlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from nodectl.common import isolated, procfs, surroundings
from nodectl.common.errors import BadInputError, NodectlError
from nodectl.common.files import read_if_there, write_atomically
from nodectl.common.layout import Layout
from nodectl.contract import codec
from nodectl.contract.manifest import Gang, Gate
from nodectl.runtime import container
from nodectl.runtime.container import Container


@dataclass(frozen=True)
class Launch:
    """One service, ready to start. `secrets` are names: their values stay in the node's secret files."""

    argv: list[str]
    env: dict[str, str]
    secrets: list[str]
    after: list[str]
    stop_seconds: int
    gang: Gang | None
    gate: Gate | None = None
    files: dict[str, str] = field(default_factory=dict)
    """Name -> text, below the service's own folder. They are here so that a start finds its own."""
    reload: str | None = None
    """Signal that makes the main process read changed files; what else changed needs a restart."""
    container: Container | None = None
    """None: `argv` runs without one."""
    python: str | None = None
    """nodectl's own, where that is not the one beside the program: it waits for what the service needs."""

    def text(self) -> str:
        """Return the file's text: the same for the same launch, so that a difference means a restart."""
        return json.dumps(codec.encode(self), indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def reloads(old: Launch, new: Launch) -> bool:
    """Return whether a service that runs as `old` becomes `new` by reading its files again."""
    return old != new and new.reload is not None and replace(old, files=new.files) == new


def write_files(launch: Launch, layout: Layout, service: str) -> None:
    """Write the service's files. Whoever may write in the node's data leads this to no other folder."""
    if not launch.files:
        return
    layout.own_data(service).mkdir(mode=0o700, exist_ok=True)
    folder = os.open(layout.own_data(service), os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        for name, text in launch.files.items():
            write_atomically(procfs.opened(folder) / name, text)
    finally:
        os.close(folder)


def read(layout: Layout, service: str) -> Launch:
    """Return how `service` is started. Raises `BadInputError` for a file of another release's form."""
    path = layout.launch(service)
    text = read_if_there(path)
    if text is None:
        raise NodectlError(f"{service} has no launch file in {layout.launches}; run `pulumi up` again")
    return codec.read(Launch, text, "a launch file", str(path))


def read_all(layout: Layout) -> dict[str, Launch]:
    """Return how each service of the node is started, leaving out what another release wrote otherwise."""
    launches = {}
    for path in layout.launches.glob("*.json"):
        with contextlib.suppress(BadInputError):
            launches[path.stem] = read(layout, path.stem)
    return launches


def command(launch: Launch) -> list[str]:
    """Return what is executed: the service itself, or what runs it in its container."""
    if launch.container is None:
        return launch.argv
    # what podman's or docker's own configuration hands to containers is none of a service's
    no_proxies = dict.fromkeys(surroundings.PROXIES, "")
    env = {**no_proxies, **isolated.ENVIRONMENT, **launch.env}
    return container.command(launch.container, launch.argv, env, launch.secrets)


def environment(launch: Launch, layout: Layout, base: Mapping[str, str]) -> dict[str, str]:
    """Return the environment of a service: what counts of `base`, its values, its secrets.

    Only a module of nodectl keeps nodectl's import path, which is no part of the launch file: another release
    restarts nothing. The programs of the Python environment come first on PATH, as in an activated one. What
    runs a container gets the secrets to hand on, and no value of the service: those are in its arguments.
    """
    is_own = launch.argv[1:2] == ["-m"] and launch.argv[2].startswith("nodectl.")
    inherited = surroundings.of_services(base)
    variables = {name: value for name, value in inherited.items() if is_own or name != "PYTHONPATH"}
    secrets = {name: _secret(layout, name) for name in launch.secrets}
    if launch.container is not None:
        return {**variables, **secrets}
    path = {"PATH": f"{Path(launch.argv[0]).parent}{os.pathsep}{base.get('PATH', os.defpath)}"}
    return {**variables, **path, **isolated.ENVIRONMENT, **launch.env, **secrets}


def _secret(layout: Layout, name: str) -> str:
    value = read_if_there(layout.secret(name))
    if value is None:
        raise NodectlError(f"secret {name} is not on this node; set it in the stack and run `pulumi up`")
    return value
