"""From a node's manifest to how each of its services is started."""

from nodectl import install
from nodectl.argv import Folders, argv, filled
from nodectl.errors import BadInputError
from nodectl.interface import with_interface
from nodectl.launch import Launch
from nodectl.layout import Layout
from nodectl.manifest import Manifest, Service


def launches(manifest: Manifest, layout: Layout) -> dict[str, Launch]:
    """Return how each service of `manifest` is started on this node.

    Raises `BadInputError` where a value cannot be passed to a process at all.
    """
    folders = Folders(
        environment=install.environment_path(manifest.runtime.variant),
        data=layout.data,
        models=install.generated_models_path(),
    )
    gpus = manifest.runtime.variant == "gpu"
    rendered = {
        name: Launch(
            argv=argv(service, folders),
            env=_env(service, gpus=gpus),
            secrets=sorted(service.secrets),
            after=service.after,
            stop_seconds=service.stop.seconds,
            gang=None if service.gang is None else service.gang.model_dump(),
            gate=None if service.gate is None else service.gate.model_dump(),
            files={file: str(filled(text, folders)) for file, text in service.files.items()},
            reload=service.reload,
        )
        for name, service in manifest.services.items()
    }
    for name, launch in rendered.items():
        if any("\0" in text for text in (*launch.argv, *launch.env.values())):
            raise BadInputError(f"services.{name}: a flag or env value holds a null character; take it out")
    return rendered


def _env(service: Service, *, gpus: bool) -> dict[str, str]:
    """Return the service's own environment: no GPU variant, no GPUs to choose."""
    devices = {"CUDA_VISIBLE_DEVICES": ",".join(map(str, service.gpus))} if gpus and service.gpus else {}
    return devices | {name: with_interface(value, service.env) for name, value in service.env.items()}
