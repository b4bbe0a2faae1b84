"""Sources of a node's NATS and etcd: nodectl's environment, the distribution, or official releases."""

import hashlib
import shutil
import tarfile
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Final

from nodectl.common import programs, steps
from nodectl.common.errors import BadInputError, NodectlError
from nodectl.common.steps import say
from nodectl.contract.runtime import StoreRelease, Stores

PROGRAMS: Final = ("etcd", "nats-server")
"""The stores' programs, which are also the names of their services' modules in a manifest."""

_READ_SECONDS: Final = 60
_CHUNK: Final = 1 << 20


def ensure(stores: Stores, folder: Path, deadline: float) -> bool:
    """Provide NATS and etcd from where `stores` says; return whether it was there.

    Raises `BadInputError` where a program is missing or a download is not what its checksum says.
    """
    match stores.source:
        case "bundled":
            return True
        case "distribution":
            cached = [programs.ensure(name) for name in PROGRAMS]
        case "release":
            cached = [_download(name, _release(name, stores), folder, deadline) for name in PROGRAMS]
    return all(cached)


def program_paths(stores: Stores, folder: Path, environment: Path) -> dict[str, Path]:
    """Return program -> where it is on this node; `environment` is nodectl's own."""
    match stores.source:
        case "distribution":
            return {name: Path(programs.find(name)) for name in PROGRAMS}
        case "release":
            return {name: _place(name, _release(name, stores), folder) / name for name in PROGRAMS}
        case _:
            return {name: environment / "bin" / name for name in PROGRAMS}


def _release(program: str, stores: Stores) -> StoreRelease:
    if program not in stores.releases:
        raise BadInputError(
            f"stores.releases.{program}: missing; with `source: release` both programs have one"
        )
    return stores.releases[program]


def _download(program: str, release: StoreRelease, folder: Path, deadline: float) -> bool:
    """Place the release of `program`: nothing of it is unpacked before its checksum was right."""
    release_folder = _place(program, release, folder)
    if (release_folder / program).is_file():
        return True
    with steps.locked(release_folder, deadline):
        if (release_folder / program).is_file():
            return True
        partial = release_folder.with_name(f".{release_folder.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir()
        try:
            say(f"downloading {program} from {release.url}")
            archive = partial / "archive"
            digest = _fetch(release.url, archive)
            if digest != release.sha256:
                raise BadInputError(
                    f"stores.{program}: {release.url} has the checksum {digest}, expected "
                    f"{release.sha256}: it is another file than was meant; nothing of it was run. "
                    "Of another release write its own checksum, `sha256`, beside `url`"
                )
            _unpack(program, archive, partial / program)
            archive.unlink()
            partial.rename(release_folder)
        finally:
            shutil.rmtree(partial, ignore_errors=True)  # what is still there became no release
    return False


def _place(program: str, release: StoreRelease, folder: Path) -> Path:
    return folder / f"{program}-{release.sha256[:12]}"


def _fetch(url: str, archive: Path) -> str:
    """Download `url`; return the SHA-256 of what came."""
    digest = hashlib.sha256()
    opener = urllib.request.build_opener()  # the shared one keeps the proxies of its first use
    try:
        with opener.open(url, timeout=_READ_SECONDS) as answer, archive.open("wb") as file:
            while chunk := answer.read(_CHUNK):
                digest.update(chunk)
                file.write(chunk)
            if answer.length:  # `read` tells of no connection that ended too early
                raise HTTPException(f"the connection ended {answer.length} bytes before the file did")
    except (HTTPException, OSError, ValueError) as error:
        reason = getattr(error, "reason", error)
        raise NodectlError(
            f"{url} cannot be downloaded: {reason}; give a `url` that this node reaches, or take "
            "`source: distribution`"
        ) from error
    return digest.hexdigest()


def _unpack(program: str, archive: Path, target: Path) -> None:
    """Take the one file named `program` out of a tar archive."""
    try:
        with tarfile.open(archive) as tar:
            for member in tar:
                content = tar.extractfile(member) if Path(member.name).name == program else None
                if member.isfile() and content is not None:
                    with target.open("wb") as file:
                        shutil.copyfileobj(content, file)
                    target.chmod(0o755)
                    return
    except tarfile.TarError as error:
        raise BadInputError(f"stores.{program}: the download is no tar archive: {error}") from error
    raise BadInputError(f"stores.{program}: the archive holds no file named {program}")
