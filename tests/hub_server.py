"""A Hugging Face hub on loopback, as far as its own client asks one: https://huggingface.co/docs/hub/api.

It answers the three requests of a snapshot (what a revision is, the revision's files, a file) with the
status codes, error codes and headers that the client decides by. Weights are stored
with LFS: the answer is a redirect to another server, which serves ranges and is sent no token.
"""

import hashlib
import json
import re
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

from nodectl.runtime import generated_model
from tests.loopback_server import QuietHandler, listening

COMMIT: Final = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """Content of the hub, and the requests to it."""

    models: Mapping[str, Mapping[str, bytes]]
    """Model id -> its files."""
    gated: Mapping[str, str] = field(default_factory=dict)
    """Model id -> the one token that opens its files: everybody may see that it is there."""
    private: Mapping[str, str] = field(default_factory=dict)
    """Model id -> the one token that shows it at all."""
    revisions: Mapping[str, str] = field(default_factory=lambda: {"main": COMMIT})
    """Branch or tag -> its commit."""
    unknown_tokens: tuple[str, ...] = ()
    """Tokens that the hub takes for nobody's."""
    busy: int = 0
    """Number of next requests that are told to come back later."""
    cut_after: int | None = None
    """After so many bytes of the next file from storage the connection ends; not of the one after that."""
    address: str = ""
    storage: str = ""
    """Address of the server that has the weights."""
    requests: list[str] = field(default_factory=list)
    """Method and path of each request, in order."""


class _Handler(QuietHandler, BaseHTTPRequestHandler):
    hub: Hub

    def do_GET(self) -> None:
        """Answer one request of the client."""
        path = urlsplit(self.path).path
        self.hub.requests.append(f"{self.command} {unquote(path)}")
        if match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/(revision|tree)/([^/]+))?", path):
            model, what, revision = match.groups()
            self._about(model, what or "revision", unquote(revision or "main"))
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._file(*map(unquote, match.groups()))
        elif match := re.fullmatch(r"/storage/([^/]+/[^/]+)/(.+)", path):
            self._stored(*match.groups())
        else:
            self._refuse(404, "EntryNotFound", f"no {path}")

    def _about(self, model: str, what: str, revision: str) -> None:
        if not self._opens(model, revision):
            return
        files = self.hub.models[model]
        if what == "revision":
            commit = self.hub.revisions.get(revision, revision)
            self._answer({"id": model, "sha": commit, "siblings": [{"rfilename": name} for name in files]})
            return
        self._answer(
            [
                {"type": "file", "path": name, "size": len(data), "oid": _digest(data)}
                for name, data in files.items()
            ]
        )

    def _file(self, model: str, revision: str, name: str) -> None:
        if not self._opens(model, revision, file=True):
            return
        data = self.hub.models[model].get(name)
        if data is None:
            self._refuse(404, "EntryNotFound", f"{name} does not exist on {revision}")
            return
        about = {"X-Repo-Commit": self.hub.revisions.get(revision, revision), "ETag": f'"{_digest(data)}"'}
        if not name.endswith(".safetensors"):
            self._send(200, data, about)
            return
        linked = {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{_digest(data)}"'}
        self._send(302, b"", {**about, **linked, "Location": f"{self.hub.storage}/storage/{model}/{name}"})

    def _stored(self, model: str, name: str) -> None:
        data = self.hub.models[model][name]
        byte_range = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if byte_range is None and self.hub.cut_after is not None:
            length, self.hub.cut_after = self.hub.cut_after, None
            self._send_a_part(data, length)
            return
        if byte_range is None:
            self._send(200, data, {"ETag": f'"{_digest(data)}"'})
            return
        start = int(byte_range[1])
        self.hub.requests.append(f"from byte {start}")
        span = f"bytes {start}-{len(data) - 1}/{len(data)}"
        self._send(206, data[start:], {"Content-Range": span, "ETag": f'"{_digest(data)}"'})

    def _opens(self, model: str, revision: str, *, file: bool = False) -> bool:
        """Refuse as the hub does: it does not say of a model that nobody may see whether it is there."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        if self.hub.busy:
            self.hub.busy -= 1
            self._refuse(429, "", "Too many requests")
        elif token in self.hub.unknown_tokens:
            self._refuse(401, "", "Invalid credentials in Authorization header")
        elif model not in self.hub.models or token != self.hub.private.get(model, token):
            self._refuse(404 if token else 401, "RepoNotFound", "Repository not found")
        elif file and token != self.hub.gated.get(model, token):
            self._refuse(
                403 if token else 401, "GatedRepo", f"Access to model {model} is restricted; ask for access"
            )
        elif revision not in {*self.hub.revisions, *self.hub.revisions.values()}:
            self._refuse(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return True
        return False

    def _refuse(self, status: int, code: str, message: str) -> None:
        codes = {"X-Error-Code": code} if code else {}
        self._send(status, b"", {**codes, "X-Error-Message": message})

    def _answer(self, body: object) -> None:
        self._send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _send(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.answer(status, body, {**headers, "Accept-Ranges": "bytes"})

    def _send_a_part(self, body: bytes, length: int) -> None:
        """Promise all of a body and end the connection after a part of it."""
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{_digest(body)}"')
        self.end_headers()
        self.wfile.write(body[:length])
        self.close_connection = True


def tiny_model() -> dict[str, bytes]:
    """Return the files of a model that Dynamo's simulated engine takes."""
    with tempfile.TemporaryDirectory() as folder:
        generated_model.write(Path(folder))
        return {path.name: path.read_bytes() for path in Path(folder).iterdir()}


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@contextmanager
def serving(hub: Hub, host: str = "127.0.0.1", storage: str = "127.0.0.2") -> Iterator[Hub]:
    """Serve `hub` at two addresses, which it then carries; a client tells their servers by their hosts."""
    handler = type("Handler", (_Handler,), {"hub": hub})
    with listening(handler, host) as main, listening(handler, storage) as weights:
        hub.address, hub.storage = f"http://{main}", f"http://{weights}"
        yield hub
