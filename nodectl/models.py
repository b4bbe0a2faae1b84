"""Provides the model on a node: a folder that is there, the generated one, or a download from the hub.

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
from nodectl.steps import say

GENERATED_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


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
        case kind:
            raise BadInputError(f"model.kind: {kind!r} is unknown; use one of generated, path, hub")


def ensure(
    model: Mapping[str, Any], models: Path, python: Path, secrets: Mapping[str, str], deadline: float
) -> tuple[str, bool]:
    """Provide the model; return its folder and whether it was there.

    `models` is the cache's folder of models; `python` has `huggingface_hub`; `secrets` go to a download.
    """
    if model["kind"] == "path":
        return model["name"], True
    if model["kind"] == "generated":
        return _ensure_generated(generated(models) / model["name"], deadline)
    return _ensure_downloaded(model, models, python, secrets, deadline)


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
