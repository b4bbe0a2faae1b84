"""Provides the model on a node: a folder that is there, the generated one, or a copy from the hub or from S3.

Standard library only: `nodectl install` runs on a bare Python.
"""

import hashlib
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from nodectl import steps, tinymodel
from nodectl.errors import BadInputError
from nodectl.files import read_if_there
from nodectl.steps import say

GENERATED_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_S3_URI: Final = re.compile(r"s3://[a-z0-9.-]+(/[A-Za-z0-9_.=@+-]+)+")


def check(model: Any) -> None:
    """Raise `BadInputError` where `model` (`nodectl.manifest.ModelSource`) cannot be provided here."""
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
        case "s3":
            if not _S3_URI.fullmatch(name) or ".." in name.split("/"):
                raise BadInputError(
                    f"model.name: {name!r} names no folder in S3; expected s3://bucket/folder"
                )
        case kind:
            raise BadInputError(f"model.kind: {kind!r} is unknown; use one of generated, path, hub, s3")


def ensure(
    model: Mapping[str, Any], models: Path, python: Path, secrets: Mapping[str, str], deadline: float
) -> tuple[str, bool]:
    """Provide the model; return its folder and whether it was there.

    `models` is the cache's folder of models; `python` has `huggingface_hub`, or for a model from S3 `boto3`;
    `secrets` go to a download.
    """
    if model["kind"] == "path":
        return model["name"], True
    if model["kind"] == "generated":
        return _ensure_generated(generated(models) / model["name"], deadline)
    if model["kind"] == "s3":
        return _ensure_synced(model["name"], synced(models / "s3", model["name"]), python, deadline)
    return _ensure_downloaded(model, models, python, secrets, deadline)


def synced(folder: Path, uri: str) -> Path:
    """Return where a model from S3 lies below `folder`: the same path on every node, which NIXL compares."""
    return folder / uri.removeprefix("s3://")


def generated(models: Path) -> Path:
    """Return the folder of the generated models, each below its name."""
    return models / f"generated-{tinymodel.VERSION}"


def hub_cache(model: Mapping[str, Any], models: Path) -> Path | None:
    """Return the Hugging Face cache that a downloaded model lies in; None when it was not downloaded."""
    known = _known(model, models)
    # <cache>/models--<organisation>--<model>/snapshots/<revision>
    return Path(known.read_text(encoding="utf-8")).parents[2] if _names_folder(known) else None


def _ensure_generated(folder: Path, deadline: float) -> tuple[str, bool]:
    if folder.is_dir():
        return str(folder), True
    with steps.locked(folder, deadline):
        if folder.is_dir():
            return str(folder), True
        partial = folder.with_name(f".{folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        tinymodel.write(partial)
        partial.rename(folder)
    return str(folder), False


def _ensure_synced(uri: str, folder: Path, python: Path, deadline: float) -> tuple[str, bool]:
    """Make `folder` what lies at `uri`; asking what that is takes a second, and so it is asked each time."""
    with steps.locked(folder, deadline) as step:
        before = _stamp(folder)
        say(f"synchronising {uri}")
        script = str(Path(__file__).with_name("s3.py"))
        command = [str(python), script, uri, str(folder), str(record(folder))]
        step.run(command, tell=f"synchronising {uri}", progress=True)
    if not (folder / "config.json").is_file():
        raise BadInputError(f"model.uri: {uri} holds no config.json; name the folder that has it")
    return str(folder), before is not None and before == _stamp(folder)


def _stamp(folder: Path) -> str | None:
    """Return what changes when a synchronised folder does; None where it was never whole."""
    return read_if_there(record(folder))


def record(folder: Path) -> Path:
    """Return what says what a folder from S3 holds; beside it, so that engines see the model alone."""
    return folder.with_name(f".{folder.name}.s3.json")


def _ensure_downloaded(
    model: Mapping[str, Any], models: Path, python: Path, secrets: Mapping[str, str], deadline: float
) -> tuple[str, bool]:
    """Download a hub model into the user's Hugging Face cache; `known` remembers where it lies there."""
    known = _known(model, models)
    if _names_folder(known):
        return known.read_text(encoding="utf-8"), True
    with steps.locked(known, deadline) as step:
        cached = _names_folder(known)
        if not cached:
            say(f"downloading {model['name']}")
            script = str(Path(__file__).with_name("hub.py"))
            command = [str(python), script, model["name"], model.get("revision") or "", str(known)]
            step.run(command, secrets, tell=f"still downloading {model['name']}")
    return known.read_text(encoding="utf-8"), cached


def _known(model: Mapping[str, Any], models: Path) -> Path:
    asked = f"{model['name']}@{model.get('revision') or ''}"
    return models / f"hub-{hashlib.sha256(asked.encode()).hexdigest()[:12]}"


def _names_folder(known: Path) -> bool:
    return known.is_file() and Path(known.read_text(encoding="utf-8")).is_dir()
