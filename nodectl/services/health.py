"""Health checks of what should listen: an HTTP health page, or a port."""

import http.client
import json
import socket
from typing import Final
from urllib.parse import urlsplit

_SECONDS: Final = 2.0
_PAGE_BYTES: Final = 4096


def answers(url: str) -> bool:
    """Return whether a health page says 200, within two seconds."""
    return trouble(url) is None


def trouble(url: str) -> str | None:
    """Return why a health page does not say 200 within two seconds: its `reason`, or its status."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=_SECONDS)
    try:
        connection.request("GET", parts.path or "/")
        reply = connection.getresponse()
        return None if reply.status == http.client.OK else _reason(reply)
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()


def _reason(reply: http.client.HTTPResponse) -> str:
    """Return what etcd names in its page, or else the status."""
    try:
        page = json.loads(reply.read(_PAGE_BYTES))
    except (ValueError, RecursionError):
        page = None
    reason = page.get("reason") if isinstance(page, dict) else None
    return str(reason) if reason else f"{reply.status} {reply.reason}"


def listens(endpoint: tuple[str, int]) -> bool:
    """Return whether a port takes a connection, within two seconds."""
    try:
        socket.create_connection(endpoint, timeout=_SECONDS).close()
    except OSError:
        return False
    return True
