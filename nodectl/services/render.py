"""From a node's manifest to how each of its services is started."""

from collections.abc import Iterator
from pathlib import Path

from nodectl.common.errors import BadInputError
from nodectl.common.layout import MARKER, Layout
from nodectl.contract.manifest import Manifest, Service
from nodectl.contract.runtime import (
    MACHINE_PROGRAMS,
    ContainerEngine,
    ModelSource,
    PreinstalledEngine,
    RuntimeSpec,
)
from nodectl.runtime import cache, container, models, preinstalled, stores
from nodectl.runtime.container import Container, Mount
from nodectl.services import interface
from nodectl.services.argv import Folders, argv, filled, is_own
from nodectl.supervisors.launch import Launch


def launches(manifest: Manifest, layout: Layout) -> dict[str, Launch]:
    """Return how each service of `manifest` is started on this node.

    Raises `BadInputError` where a value cannot be passed to a process at all, or a program is not here.
    """
    folders = _folders(manifest.runtime, layout)
    rendered = {
        name: _launch(name, service, manifest.runtime, folders, layout)
        for name, service in manifest.services.items()
    }
    for name, launch in rendered.items():
        if any("\0" in text for text in (*launch.argv, *launch.env.values())):
            raise BadInputError(f"services.{name}: a flag or env value holds a null character; take it out")
    return rendered


def _launch(name: str, service: Service, runtime: RuntimeSpec, folders: Folders, layout: Layout) -> Launch:
    service_container = None
    runs_outside = is_own(service) or service.module in stores.PROGRAMS or service.module in MACHINE_PROGRAMS
    if isinstance(runtime.engine, ContainerEngine) and not runs_outside:
        service_container = _container(name, service, runtime, runtime.engine, layout)
    command, bin_folder = argv(service, folders), folders.environment / "bin"
    values = _values(service, folders)
    has_python_beside = Path(command[0]).parent == bin_folder or service.module in MACHINE_PROGRAMS
    return Launch(
        argv=command,
        env=(_contained_env(runtime, layout) if service_container else _env(service, runtime)) | values,
        secrets=sorted(service.secrets),
        after=service.after,
        stop_seconds=service.stop.seconds,
        gang=service.gang,
        container=service_container,
        python=None if has_python_beside else str(bin_folder / "python"),
        gate=service.gate,
        files={file: str(filled(text, folders)) for file, text in service.files.items()},
        reload=service.reload,
    )


def _folders(runtime: RuntimeSpec, layout: Layout) -> Folders:
    environment = cache.environment(runtime.environment)
    match runtime.engine:
        case ContainerEngine():
            engine = container.PYTHON
        case PreinstalledEngine() as preinstalled_engine:
            engine = str(preinstalled.python_path(preinstalled_engine.path))
        case _:
            engine = str(environment / "bin" / "python")
    programs = {}
    if runtime.stores is not None:
        programs = stores.program_paths(runtime.stores, cache.stores(), environment)
    return Folders(
        environment=environment,
        engine=engine,
        stores=programs,
        data=layout.data,
        models=models.generated(cache.models()),
        s3=cache.s3_models(),
        model=_downloaded(runtime),
    )


def _downloaded(runtime: RuntimeSpec) -> Path | None:
    """Return the model's folder where the hub has it from; None for a model from elsewhere, or none."""
    model = runtime.model
    return models.hub_link(model, cache.models()) if model and model.kind == "hub" else None


def _env(service: Service, runtime: RuntimeSpec) -> dict[str, str]:
    """Return the service's own environment: no GPU variant, no GPUs to choose."""
    gpus = service.gpus if runtime.variant == "gpu" else []
    devices = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, gpus))} if gpus else {}
    return devices | _hub_env(runtime)


def _contained_env(runtime: RuntimeSpec, layout: Layout) -> dict[str, str]:
    """Return the environment within a container: its GPUs are all that it sees, the model is a mount."""
    return {MARKER: str(layout.root)} | _hub_env(runtime)


def _hub_env(runtime: RuntimeSpec) -> dict[str, str]:
    """Return where what was downloaded is found by its id, as GGUF weights are."""
    downloaded = runtime.model is not None and runtime.model.kind == "hub"
    return {"HF_HUB_CACHE": str(models.hub_cache(cache.models()))} if downloaded else {}


def _values(service: Service, folders: Folders) -> dict[str, str]:
    env = {name: str(filled(value, folders)) for name, value in service.env.items()}
    return interface.environment(env, spans=service.gang is not None)


def _container(
    name: str, service: Service, runtime: RuntimeSpec, engine: ContainerEngine, layout: Layout
) -> Container:
    program = container.find(engine.program)
    gpus = service.gpus if runtime.variant == "gpu" else []
    container_name = container.name(layout.root, name)
    options = container.options(
        program, container_name, gpus=gpus, mounts=_mounts(runtime, layout), stop_seconds=service.stop.seconds
    )
    if gpus:
        options += container.fabric()
    return Container(program, container_name, engine.image, options)


def _mounts(runtime: RuntimeSpec, layout: Layout) -> Iterator[Mount]:
    yield Mount(layout.data, writable=True)
    match runtime.model:
        case ModelSource(kind="generated"):
            yield Mount(models.generated(cache.models()))
        case ModelSource(kind="path", name=folder):
            yield Mount(Path(folder))
        case ModelSource(kind="s3", name=uri):
            yield Mount(models.synced(cache.s3_models(), uri))
        case ModelSource(kind="hub"):
            yield Mount(models.hub_links(cache.models()))
            yield Mount(models.hub_cache(cache.models()))
