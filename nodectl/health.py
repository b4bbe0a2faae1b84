"""Whether what should listen does: an HTTP health page, or a port. Standard library only."""

import http.client
import socket
from typing import Final
from urllib.parse import urlsplit

_SECONDS: Final = 2.0


def answers(url: str) -> bool:
    """Return whether a health page says 200, within two seconds."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_SECONDS)
    try:
        connection.request("GET", parts.path or "/")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def listens(endpoint: tuple[str, int]) -> bool:
    """Return whether a port takes a connection, within two seconds."""
    try:
        socket.create_connection(endpoint, timeout=_SECONDS).close()
    except OSError:
        return False
    return True
