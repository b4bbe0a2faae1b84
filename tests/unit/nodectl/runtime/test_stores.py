"""NATS and etcd from releases that are downloaded, and from the distribution."""

import functools
import hashlib
import http.server
import io
import socket
import struct
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from nodectl.common.errors import BadInputError, NodectlError
from nodectl.contract.runtime import StoreRelease, Stores
from nodectl.runtime import stores
from nodectl.versions import store_releases

SCRIPT = b"#!/bin/sh\necho released\n"


@pytest.fixture
def site(tmp_path: Path) -> Iterator[str]:
    """Serve the folder `site` on a loopback port."""
    (tmp_path / "site").mkdir()
    handler = functools.partial(SimpleHTTPRequestHandler, directory=tmp_path / "site")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def archive(path: Path, *members: str) -> str:
    """Write a release archive; return its checksum."""
    with tarfile.open(path, "w:gz") as tar:
        for member in members:
            entry = tarfile.TarInfo(member)
            entry.size = len(SCRIPT)
            tar.addfile(entry, io.BytesIO(SCRIPT))
    return hashlib.sha256(path.read_bytes()).hexdigest()


def spec(site: str, **checksums: str) -> Stores:
    releases = {
        name.replace("_", "-"): StoreRelease(url=f"{site}/{name}.tar.gz", sha256=checksum)
        for name, checksum in checksums.items()
    }
    return Stores(source="release", releases=releases)


def both(tmp_path: Path, site: str) -> Stores:
    """Return the spec of two good releases."""
    return spec(
        site,
        etcd=archive(tmp_path / "site" / "etcd.tar.gz", "etcd-v9/README.md", "etcd-v9/etcd"),
        nats_server=archive(tmp_path / "site" / "nats_server.tar.gz", "nats-server-v9/nats-server"),
    )


def ensure(found: Stores, tmp_path: Path) -> bool:
    return stores.ensure(found, tmp_path / "stores", time.monotonic() + 30)


def left(tmp_path: Path) -> list[Path]:
    """Return what an install left that is there to be used; locks and logs stay."""
    return [path for path in (tmp_path / "stores").rglob("*") if path.suffix not in (".lock", ".log")]


def closed(handler: SimpleHTTPRequestHandler) -> None:
    """Let the server end the connection as it ends every one of HTTP/1.0."""


def reset(handler: SimpleHTTPRequestHandler) -> None:
    """End the connection by RST, as what is in between does when it loses track of it."""
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    handler.rfile.close()  # it keeps the connection open
    handler.connection.close()


def test_releases_are_downloaded_once_and_run(tmp_path: Path, site: str) -> None:
    found = both(tmp_path, site)
    assert not ensure(found, tmp_path)
    paths = stores.program_paths(found, tmp_path / "stores", Path("/env"))
    assert {name: path.read_bytes() for name, path in paths.items()} == {
        "etcd": SCRIPT,
        "nats-server": SCRIPT,
    }
    assert all(path.stat().st_mode & 0o111 for path in paths.values())
    for file in (tmp_path / "site").iterdir():
        file.unlink()
    assert ensure(found, tmp_path)


def test_another_file_than_was_meant_is_not_unpacked(tmp_path: Path, site: str) -> None:
    found = both(tmp_path, site)
    archive(tmp_path / "site" / "etcd.tar.gz", "etcd-v9/etcd", "etcd-v9/more")
    with pytest.raises(BadInputError, match=r"stores.etcd: .*has the checksum .*, expected"):
        ensure(found, tmp_path)
    assert left(tmp_path) == []


@pytest.mark.parametrize(
    ("end", "told"),
    [(closed, r"the connection ended \d+ bytes before the file did"), (reset, r".*Connection reset by peer")],
    ids=["closed", "reset"],
)
def test_a_download_that_is_cut_short_is_told_and_leaves_nothing_in_the_way_of_the_next(
    tmp_path: Path, site: str, end: Callable[[SimpleHTTPRequestHandler], None], told: str
) -> None:
    def part(handler: SimpleHTTPRequestHandler, source: Any, target: Any) -> None:
        content = source.read()
        target.write(content[: len(content) // 2])
        end(handler)

    found = both(tmp_path, site)
    with pytest.MonkeyPatch.context() as m:
        m.setattr(SimpleHTTPRequestHandler, "copyfile", part)  # the length of the whole was sent before it
        with pytest.raises(NodectlError, match=rf"{site}/etcd.tar.gz cannot be downloaded: {told}; give a "):
            ensure(found, tmp_path)
    assert left(tmp_path) == []
    assert not ensure(found, tmp_path)
    paths = stores.program_paths(found, tmp_path / "stores", Path("/env"))
    assert all(path.read_bytes() == SCRIPT for path in paths.values())


def test_an_archive_without_the_program_is_refused(tmp_path: Path, site: str) -> None:
    checksum = archive(tmp_path / "site" / "etcd.tar.gz", "etcd-v9/etcdctl")
    with pytest.raises(BadInputError, match="holds no file named etcd"):
        ensure(spec(site, etcd=checksum, nats_server="0" * 64), tmp_path)
    assert left(tmp_path) == []


def test_a_site_that_does_not_answer_is_named_with_the_ways_out(tmp_path: Path) -> None:
    found = spec("http://127.0.0.1:1", etcd="0" * 64, nats_server="0" * 64)
    with pytest.raises(NodectlError, match=r"http://127.0.0.1:1/etcd.tar.gz cannot be downloaded: .*refused"):
        ensure(found, tmp_path)


def test_what_the_distribution_lacks_is_named_by_its_package(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nodectl.common.programs._FOLDERS", ())
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInputError, match="etcd is not on this machine: `apt install etcd-server`"):
        ensure(Stores(source="distribution"), tmp_path)


def test_the_distributions_programs_are_taken_from_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for program in ("etcd", "nats-server"):
        (tmp_path / program).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert ensure(Stores(source="distribution"), tmp_path)
    paths = stores.program_paths(Stores(source="distribution"), tmp_path, Path("/env"))
    assert paths == {name: tmp_path / name for name in ("etcd", "nats-server")}


def test_the_pinned_releases_are_official_ones_of_the_version_that_they_say() -> None:
    for program, owner in (("nats-server", "nats-io/nats-server"), ("etcd", "etcd-io/etcd")):
        release = store_releases()[program]
        site = f"https://github.com/{owner}/releases/download/v{release['version']}/"
        assert release["url"] == f"{site}{program}-v{release['version']}-linux-amd64.tar.gz"
        assert len(bytes.fromhex(release["sha256"])) == 32
