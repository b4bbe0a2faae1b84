"""Downloads a model from the hub: `hub.py NAME[:QUANT] REVISION LINK`.

`nodectl install` runs it with the Python of a node environment, which carries `huggingface_hub`. QUANT picks
one of a repository's GGUF files; REVISION may be empty; LINK becomes a link to the model's folder in the
hub's cache, once all of it is there. HF_TOKEN opens gated models, HF_ENDPOINT leads to a mirror, HF_HUB_CACHE
is where files lie.
"""

import os
import sys
import time
from pathlib import Path
from typing import Final

import httpx
from huggingface_hub import HfApi, constants, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    HFValidationError,
    LocalEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)
from huggingface_hub.utils import filter_repo_objects  # type: ignore[attr-defined]

UNUSED_FILES: Final = ["original/*", "*.pth", "*.gguf"]
"""Files of model repositories beside the weights that vLLM reads, often as large again."""

BESIDE_GGUF: Final = ["*.json", "*.txt", "*.model", "*.jinja"]
"""Files that are read beside the one GGUF file of the quantisation that was asked for."""

_PAUSES: Final = (2, 5, 15, 30)
"""Seconds between tries, beyond the client's own: many nodes at once are asked to come back later (429)."""

_SET_TOKEN: Final = "`scripts/secret STACK huggingFaceToken`"  # noqa: S105 - how to set one


def main(name: str, revision: str, link: str) -> None:
    """Download, or say in one line why not and what to do: the last line, with EX_UNAVAILABLE."""
    try:
        folder = _download(name, revision)
    except Exception as error:  # noqa: BLE001, RUF100 - the library documents no closed set
        print(_reason(name, revision, error), flush=True)
        sys.exit(os.EX_UNAVAILABLE)
    draft = Path(f"{link}.draft")
    draft.unlink(missing_ok=True)
    draft.symlink_to(folder)
    draft.replace(link)


def _download(name: str, revision: str) -> str:
    """Return the folder of the whole model. What was cut off goes on where it was."""
    for pause in (*_PAUSES, None):
        try:
            return _snapshot(name, revision)
        except Exception as error:
            if pause is None or not _passes(error):
                raise
            print(f"{_first_line(error)}; trying again in {pause} s", flush=True)
            time.sleep(pause)
    raise AssertionError("the last try returns or raises")


def _snapshot(name: str, revision: str) -> str:
    """Return the folder of one commit; without the hub, the client would take what is there for all of it."""
    repository, _, quant = name.partition(":")
    allow = [f"*{quant}*.gguf", *BESIDE_GGUF] if quant else None
    ignore = None if quant else UNUSED_FILES
    token = os.environ.get("HF_TOKEN") or False  # never one that somebody left on this machine
    info = HfApi(token=token).model_info(repository, revision=revision or None)
    folder = snapshot_download(
        repository, revision=info.sha, allow_patterns=allow, ignore_patterns=ignore, token=token
    )
    names = [file.rfilename for file in info.siblings or ()]
    required_files = filter_repo_objects(names, allow_patterns=allow, ignore_patterns=ignore)
    if missing_files := [file for file in required_files if not Path(folder, file).is_file()]:
        raise FileNotFoundError(f"{missing_files[0]} did not arrive; run it again")
    return folder


def _passes(error: BaseException) -> bool:
    """Return whether the same question may be answered a little later."""
    cause = _cause(error)
    if isinstance(cause, HfHubHTTPError):
        return cause.response.status_code in (408, 429) or cause.response.status_code >= 500
    return isinstance(cause, httpx.TransportError) and not isinstance(
        cause, httpx.ConnectError | httpx.ProxyError | httpx.UnsupportedProtocol
    )


def _reason(name: str, revision: str, error: BaseException) -> str:
    """Return in one line why `name` cannot be had, and what to do."""
    hub, cause = constants.ENDPOINT, _cause(error)
    if isinstance(cause, HfHubHTTPError):
        return _refusal(name, revision, cause)
    if isinstance(cause, HFValidationError):
        return f"model.name: {name} is no id of a model; expected organisation/model"
    if isinstance(cause, httpx.TransportError):
        return (
            f"{name}: {hub} cannot be reached ({_first_line(cause)}); where a proxy leads there write"
            " `dynamo:proxy`, for a mirror `model.endpoint`, and without any way put the model on the nodes"
            " (`source: path`) or take the generated one"
        )
    return f"{name} cannot be downloaded from {hub}: {_first_line(cause)}"


def _refusal(name: str, revision: str, error: HfHubHTTPError) -> str:
    """Return what an answer of the hub means."""
    hub, status = constants.ENDPOINT, error.response.status_code
    access = f"ask for access at {hub}/{name.partition(':')[0]}"
    if isinstance(error, RevisionNotFoundError):
        return f"model.revision: {name} has no {revision or 'main'} on {hub}; correct it"
    if isinstance(error, GatedRepoError) and not os.environ.get("HF_TOKEN"):
        return f"{name} is gated and no token is set: {access}, then set its token: {_SET_TOKEN}"
    if isinstance(error, GatedRepoError) or (status in (401, 403) and os.environ.get("HF_TOKEN")):
        return f"{name}: the hub refuses this token ({status}); {access}, then set its token: {_SET_TOKEN}"
    if isinstance(error, RepositoryNotFoundError) or status in (401, 403):
        return (
            f"model.name: {hub} has no {name}, or shows it to nobody without access: correct the name, or"
            f" {access} and set a token that has it: {_SET_TOKEN}"
        )
    return f"{name}: {hub} answers {status}: {_first_line(error)}"


def _cause(error: BaseException) -> BaseException:
    """Return what went wrong: where no file is here, the client tells that, and why only behind it."""
    cause = error.__cause__ if isinstance(error, LocalEntryNotFoundError) else None
    return cause or error


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


if __name__ == "__main__":
    main(*sys.argv[1:])
