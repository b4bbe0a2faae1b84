"""The Pulumi CLI from its official release site, checked against the checksums published with it."""

import hashlib
import http.client
import queue
import shutil
import tarfile
import tempfile
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import IO, TypeVar

from tools.toolchain.common import ToolchainError

SITE = "https://get.pulumi.com/releases/sdk"
ANSWER_SECONDS = 4
RETRY_SECONDS = 30 * 60
"""Seconds before a site that did not answer is tried again."""

BROKEN = (OSError, http.client.HTTPException)
"""Errors of a broken transfer."""

T = TypeVar("T")


class Site:
    """One release on its site. The cache records if the site does not answer."""

    def __init__(self, cache: Path, version: str, url: str = SITE) -> None:
        self._checksums = f"{url}/pulumi-{version}-checksums.txt"
        self._archive = f"{url}/pulumi-v{version}-linux-x64.tar.gz"
        self._silent = cache / "release-site-unreachable"

    def digest(self) -> str | None:
        """Return the SHA-256 published for the release; None, within seconds, if the site does not answer."""
        if self._silent.exists() and time.time() - self._silent.stat().st_mtime < RETRY_SECONDS:
            return None
        try:
            published = _within(ANSWER_SECONDS, lambda: _open(self._checksums).read().decode())
            digests = {name: digest for digest, name in map(str.split, published.splitlines())}
            return digests[PurePosixPath(self._archive).name]
        except (*BROKEN, ValueError, KeyError):  # no answer, or that of a login page
            self.avoid()
            return None

    def avoid(self) -> None:
        """Record that the site does not answer."""
        self._silent.parent.mkdir(parents=True, exist_ok=True)
        self._silent.touch()

    def download(self, digest: str, into: Path) -> None:
        """Unpack the release's programs into a folder.

        Raises one of BROKEN if the transfer breaks, ToolchainError if the checksum differs.
        """
        with tempfile.TemporaryFile() as packed:
            with _open(self._archive) as response:
                shutil.copyfileobj(response, packed)
            packed.seek(0)
            if hashlib.file_digest(packed, "sha256").hexdigest() != digest:
                raise ToolchainError(
                    f"{self._archive} does not have its published checksum and was not used; find out what"
                    " changes downloads on this network, or put a Pulumi CLI of your own on PATH"
                )
            packed.seek(0)
            _unpack(packed, into)


def _unpack(packed: IO[bytes], into: Path) -> None:
    """Write the programs of an archive into one flat folder."""
    with tarfile.open(fileobj=packed) as archive:
        for member in archive:
            content = archive.extractfile(member)
            if content is not None:
                program = into / PurePosixPath(member.name).name
                with program.open("wb") as file:
                    shutil.copyfileobj(content, file)
                program.chmod(0o755)


def _open(url: str) -> IO[bytes]:
    response: IO[bytes] = urllib.request.urlopen(url, timeout=ANSWER_SECONDS)  # noqa: S310 -- https, or a test's
    return response


def _within(seconds: float, work: Callable[[], T]) -> T:
    """Return the result of `work`, or raise TimeoutError: a DNS look-up has no time limit of its own."""
    answer: queue.Queue[T | Exception] = queue.Queue()

    def attempt() -> None:
        try:
            answer.put(work())
        except Exception as error:
            answer.put(error)

    threading.Thread(target=attempt, daemon=True).start()
    try:
        outcome = answer.get(timeout=seconds)
    except queue.Empty:
        raise TimeoutError(f"no answer within {seconds} s") from None
    if isinstance(outcome, Exception):
        raise outcome
    return outcome
