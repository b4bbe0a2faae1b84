"""A registry of images on loopback, as far as a pull asks: opencontainers/distribution-spec on GitHub.

It serves one image from the layout that `podman save --format oci-dir` writes.
"""

import base64
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path

from tests.loopback_server import QuietHandler, listening


@dataclass
class Registry:
    """One image under one name and tag."""

    layout: Path
    name: str
    tag: str
    login: str | None = None
    """`user:password` that a pull must show."""
    address: str = ""
    requests: list[str] = field(default_factory=list)

    @property
    def image(self) -> str:
        """Return what a pull names."""
        return f"{self.address}/{self.name}:{self.tag}"


class _Handler(QuietHandler, BaseHTTPRequestHandler):
    registry: Registry

    def do_GET(self) -> None:
        """Answer one request of a pull."""
        registry = self.registry
        registry.requests.append(f"{self.command} {self.path}")
        shown = f"Basic {base64.b64encode((registry.login or '').encode()).decode()}"
        if registry.login and self.headers.get("Authorization") != shown:
            self._send(401, _error("UNAUTHORIZED"), "application/json")
        elif self.path == "/v2/":
            self._send(200, b"{}", "application/json")
        elif match := re.fullmatch(rf"/v2/{registry.name}/(manifests|blobs)/(.+)", self.path):
            self._content(*match.groups())
        else:
            self._send(404, _error("NAME_UNKNOWN"), "application/json")

    def _content(self, kind: str, reference: str) -> None:
        index = json.loads((self.registry.layout / "index.json").read_text(encoding="utf-8"))
        manifest = index["manifests"][0]
        digest = manifest["digest"] if reference == self.registry.tag else reference
        blob = self.registry.layout / "blobs" / digest.replace(":", "/")
        if not re.fullmatch(r"sha256:[0-9a-f]{64}", digest) or not blob.is_file():
            self._send(404, _error("MANIFEST_UNKNOWN"), "application/json")
            return
        media = manifest["mediaType"] if kind == "manifests" else "application/octet-stream"
        self._send(200, blob.read_bytes(), media, digest)

    def _send(self, status: int, body: bytes, media: str, digest: str = "") -> None:
        headers = {"Docker-Distribution-Api-Version": "registry/2.0", "Content-Type": media}
        if digest:
            headers["Docker-Content-Digest"] = digest
        if status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="images"'
        self.answer(status, body, headers)


def _error(code: str) -> bytes:
    return json.dumps({"errors": [{"code": code, "message": code.lower()}]}).encode()


@contextmanager
def serving(registry: Registry) -> Iterator[Registry]:
    """Serve the registry at an address of its own, which it then carries."""
    handler = type("Handler", (_Handler,), {"registry": registry})
    with listening(handler) as registry.address:
        yield registry
