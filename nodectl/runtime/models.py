"""Provides the model on a node: a folder that is there, the generated one, a copy from the hub or S3."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from nodectl.common import isolated, steps
from nodectl.common.errors import BadInputError
from nodectl.common.files import read_if_there
from nodectl.common.redaction import redacted, shown
from nodectl.common.steps import say
from nodectl.contract.runtime import ModelSource
from nodectl.runtime import generated_model

GENERATED_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_S3_URI: Final = re.compile(r"s3://[a-z0-9.-]+(/[A-Za-z0-9_.=@+-]+)+")


def check(model: ModelSource) -> None:
    """Raise `BadInputError` where a model cannot be provided."""
    name = model.name
    match model.kind:
        case "generated":
            if not GENERATED_NAME.fullmatch(name):
                raise BadInputError(
                    f"model.name: {shown(name)} names no folder; use letters, digits, '.', '_', '-'"
                )
        case "path":
            if not (Path(name) / "config.json").is_file():
                raise BadInputError(
                    f"model.name: {redacted(name)} holds no config.json on this node; put the model there"
                )
        case "hub":
            if name.startswith("-"):
                raise BadInputError(f"model.name: {shown(name)} is no model id; expected organisation/model")
        case "s3":
            if not _S3_URI.fullmatch(name) or ".." in name.split("/"):
                raise BadInputError(
                    f"model.name: {shown(name)} names no folder in S3; expected s3://bucket/folder"
                )


def ensure(
    model: ModelSource, models: Path, python: Path, secrets: Mapping[str, str], deadline: float
) -> tuple[str, bool]:
    """Provide the model; return its folder and whether it was there.

    `models` is the cache's folder of models; `python` has `huggingface_hub`, or for a model from S3 `boto3`;
    `secrets` go to a download.
    """
    if model.kind == "path":
        return model.name, True
    if model.kind == "generated":
        return _ensure_generated(generated(models) / model.name, deadline)
    if model.kind == "s3":
        return _ensure_synced(model.name, synced(models / "s3", model.name), python, deadline)
    return _ensure_downloaded(model, models, python, secrets, deadline)


def synced(folder: Path, uri: str) -> Path:
    """Return where a model from S3 lies below `folder`: the same path on every node, which NIXL compares."""
    return folder / uri.removeprefix("s3://")


def generated(models: Path) -> Path:
    """Return the folder of the generated models, each below its name."""
    return models / f"generated-{generated_model.VERSION}"


def hub_link(model: ModelSource, models: Path) -> Path:
    """Return the link to a downloaded model: the same path on every node, which NIXL compares."""
    identifier = model.name + (f"@{model.revision}" if model.revision else "")
    return hub_links(models) / identifier.replace("/", "--")


def hub_links(models: Path) -> Path:
    """Return the folder of the links to all models from the hub."""
    return models.with_name("hub")


def hub_cache(models: Path) -> Path:
    """Return the cache of the hub's own client, which the links lead into."""
    return models.with_name("huggingface")


def _ensure_generated(folder: Path, deadline: float) -> tuple[str, bool]:
    if folder.is_dir():
        return str(folder), True
    with steps.locked(folder, deadline):
        if folder.is_dir():
            return str(folder), True
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        generated_model.write(partial)
        partial.rename(folder)
    return str(folder), False


def _ensure_synced(uri: str, folder: Path, python: Path, deadline: float) -> tuple[str, bool]:
    """Make `folder` what lies at `uri`; asking what that is takes a second, and so it is asked each time."""
    with steps.locked(folder, deadline) as step:
        previous_stamp = _stamp(folder)
        say(f"synchronising {uri}")
        command = isolated.script(python, "runtime/s3.py", uri, str(folder), str(record(folder)))
        step.run(command, tell=f"synchronising {uri}", progress=True)
    if not (folder / "config.json").is_file():
        raise BadInputError(f"model.uri: {uri} holds no config.json; name the folder that has it")
    return str(folder), previous_stamp is not None and previous_stamp == _stamp(folder)


def _stamp(folder: Path) -> str | None:
    """Return what changes when a synchronised folder does; None where it was never whole."""
    return read_if_there(record(folder))


def record(folder: Path) -> Path:
    """Return what says what a folder from S3 holds; beside it, so that engines see the model alone."""
    return folder.with_name(f".{folder.name}.s3.json")


def _ensure_downloaded(
    model: ModelSource, models: Path, python: Path, secrets: Mapping[str, str], deadline: float
) -> tuple[str, bool]:
    """Download a hub model into a cache of its own, and link to it where all of it is there."""
    link = hub_link(model, models)
    if link.is_dir():
        return str(link), True
    with steps.locked(link, deadline) as step:
        cached = link.is_dir()
        if not cached:
            say(f"downloading {model.name}")
            command = isolated.script(python, "runtime/hub.py", model.name, model.revision or "", str(link))
            step.run(
                command,
                {**_hub_environment(model, models), **secrets},
                tell=f"still downloading {model.name}",
            )
    return str(link), cached


def _hub_environment(model: ModelSource, models: Path) -> dict[str, str]:
    """Return what the hub's client is told: nothing of the user's own, logins among it."""
    cache = str(hub_cache(models))
    variables = {"HF_HOME": cache, "HF_HUB_CACHE": cache, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}
    return variables | {"HF_HUB_DISABLE_TELEMETRY": "1"} | _endpoint(model)


def _endpoint(model: ModelSource) -> dict[str, str]:
    return {"HF_ENDPOINT": model.endpoint} if model.endpoint else {}
