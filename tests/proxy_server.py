"""A forward proxy for HTTP on loopback: absolute URLs and CONNECT, as clients ask one (RFC 9110).

Only it finds the hosts of `names`, which do not exist elsewhere: servers on loopback.
"""

import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler
from urllib.parse import urlsplit

from tests.loopback_server import listening

_HOP: set[str] = {"connection", "proxy-connection", "keep-alive", "proxy-authorization", "transfer-encoding"}


@dataclass
class Proxy:
    """Target of the proxy, and the requests to it."""

    names: Mapping[str, str] = field(default_factory=dict)
    """Host of a URL -> `host:port` of the server that it is."""
    address: str = ""
    requests: list[str] = field(default_factory=list)
    """Method and URL of each request, in order."""

    def place(self, netloc: str) -> str:
        return self.names.get(netloc.partition(":")[0], netloc)


class _Handler(BaseHTTPRequestHandler):
    proxy: Proxy

    def log_message(self, *_: object) -> None:
        """Keep the test's output clean."""

    def do_GET(self) -> None:
        """Forward one request."""
        self.proxy.requests.append(f"{self.command} {self.path}")
        url = urlsplit(self.path)
        headers = {name: value for name, value in self.headers.items() if name.lower() not in _HOP}
        length = int(self.headers.get("Content-Length") or 0)
        onward = HTTPConnection(self.proxy.place(url.netloc), timeout=10)
        try:
            target = url.path + (f"?{url.query}" if url.query else "")
            onward.request(self.command, target, self.rfile.read(length) if length else None, headers)
            answer = onward.getresponse()
            body = answer.read()
        except OSError as error:
            self.send_error(502, str(error))
            return
        finally:
            onward.close()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in _HOP | {"date", "server"}:
                self.send_header(name, value)
        if answer.getheader("Content-Length") is None:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        """Forward one request."""
        self.do_GET()

    def do_CONNECT(self) -> None:
        """Lead to a server for as long as both sides talk."""
        self.proxy.requests.append(f"CONNECT {self.path}")
        host, _, port = self.proxy.place(self.path).rpartition(":")
        try:
            onward = socket.create_connection((host, int(port)), timeout=10)
        except OSError as error:
            self.send_error(502, str(error))
            return
        self.send_response(200)
        self.end_headers()
        with onward:
            back = threading.Thread(target=_copy, args=(onward, self.connection), daemon=True)
            back.start()
            _copy(self.connection, onward)
            back.join()
        self.close_connection = True


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


@contextmanager
def forwarding(proxy: Proxy, host: str = "127.0.0.1") -> Iterator[Proxy]:
    """Run `proxy` at an address of its own, which it then carries."""
    handler = type("Handler", (_Handler,), {"proxy": proxy})
    with listening(handler, host) as place:
        proxy.address = f"http://{place}"
        yield proxy
