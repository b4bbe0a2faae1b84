"""A package index on loopback (PEP 503): the wheels of a folder, for everybody or behind a login."""

import base64
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from urllib.parse import urlsplit

from tests.loopback_server import QuietHandler, listening


@dataclass
class Index:
    """Packages of the index, and the requests to it."""

    wheels: Path
    login: str = ""
    """`user:password`; none: everybody may ask."""
    address: str = ""
    requests: list[str] = field(default_factory=list)

    @property
    def simple(self) -> str:
        """URL that clients are given."""
        return f"{self.address}/simple"


class _Handler(QuietHandler, BaseHTTPRequestHandler):
    index: Index

    def do_GET(self) -> None:
        """Answer with a project's page or a file."""
        path = urlsplit(self.path).path
        self.index.requests.append(f"{self.command} {path}")
        basic = "Basic " + base64.b64encode(self.index.login.encode()).decode()
        if self.index.login and self.headers.get("Authorization") != basic:
            self._send(401, b"who are you?", "text/plain", {"WWW-Authenticate": 'Basic realm="packages"'})
        elif path.startswith("/simple/"):
            self._project(path.strip("/").split("/")[1])
        elif path.startswith("/files/") and (found := self.index.wheels / Path(path).name).is_file():
            self._send(200, found.read_bytes(), "application/octet-stream")
        else:
            self._send(404, b"not here", "text/plain")

    def _project(self, name: str) -> None:
        found = sorted(self.index.wheels.glob(f"{name.replace('-', '_')}-*.whl"))
        if not found:
            self._send(404, b"no such project", "text/plain")
            return
        checksums = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in found}
        links = [f'<a href="/files/{file}#sha256={one}">{file}</a>' for file, one in checksums.items()]
        self._send(200, f"<!DOCTYPE html><html><body>{''.join(links)}</body></html>".encode(), "text/html")

    def _send(self, status: int, body: bytes, kind: str, headers: dict[str, str] | None = None) -> None:
        self.answer(status, body, {"Content-Type": kind, **(headers or {})})


@contextmanager
def serving(index: Index, host: str = "127.0.0.1") -> Iterator[Index]:
    """Serve `index` at an address that it then carries."""
    handler = type("Handler", (_Handler,), {"index": index})
    with listening(handler, host) as place:
        index.address = f"http://{place}"
        yield index
