"""HAProxy with the balancer's configuration hands on that a client left, whatever it waited for."""

import os
import random
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from planning.network.balancer import configuration
from settings.ports import PortSettings

PORTS = PortSettings()
HAPROXY = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
ASK = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}"
STREAM = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="needs haproxy")


class Frontend:
    """Answers the balancer's checks; a request gets nothing, or a stream without end, until it is closed."""

    def __init__(self, address: str, *, streams: bool) -> None:
        self.asked, self.left = threading.Event(), threading.Event()
        self._streams = streams
        for port, serve in ((PORTS.gate, self._check), (PORTS.balanced_frontend, self._request)):
            server = socket.create_server((address, port))
            threading.Thread(target=self._accept, args=(server, serve), daemon=True).start()

    def _accept(self, server: socket.socket, serve: object) -> None:
        assert callable(serve)
        while True:
            threading.Thread(target=serve, args=server.accept()[:1], daemon=True).start()

    def _check(self, connection: socket.socket) -> None:
        with connection:
            connection.recv(4096)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")

    def _request(self, connection: socket.socket) -> None:
        with connection:
            connection.recv(4096)
            self.asked.set()
            try:
                if self._streams:
                    connection.sendall(STREAM)
                    while True:
                        connection.sendall(b"1\r\na\r\n")
                        time.sleep(0.05)
                while connection.recv(4096):
                    pass
            except OSError:
                pass
            self.left.set()


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """A balancer before a frontend that is yet to come, at an address of its own."""
    assert HAPROXY
    address = f"127.{random.randint(200, 250)}.{random.randint(0, 255)}.{random.randint(1, 250)}"
    (tmp_path / "balancer").mkdir()
    (tmp_path / "haproxy.cfg").write_text(configuration(address, {"node-1": address}, PORTS))
    with subprocess.Popen(
        [HAPROXY, "-f", "haproxy.cfg"], cwd=tmp_path, stdout=subprocess.DEVNULL
    ) as balancer:
        yield address
        balancer.kill()


def connected(address: str) -> socket.socket:
    deadline = time.monotonic() + 10
    while True:
        try:
            return socket.create_connection((address, PORTS.frontend), timeout=10)
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.05)


@pytest.mark.parametrize("streams", [False, True], ids=["whole answer", "stream"])
def test_a_client_that_leaves_is_gone_for_the_frontend_too(address: str, streams: bool) -> None:
    frontend = Frontend(address, streams=streams)
    with connected(address) as client:
        client.sendall(ASK)
        assert frontend.asked.wait(10)
        if streams:
            assert client.recv(4096).startswith(b"HTTP/1.1 200")
        assert not frontend.left.is_set()
    assert frontend.left.wait(3)
