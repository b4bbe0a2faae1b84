"""Keep the connections between the Pulumi engine and its programs, on loopback, away from proxies.

gRPC in Python sends even requests to this machine to the proxy of `http_proxy`, and a program then ends in a
trace before its first line. So the shell of `scripts/env` excludes loopback, and for plain `pulumi` the
project environment does: a copy of this file among its packages is loaded before a program.
"""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final

ADDRESSES: Final = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1")
"""Addresses without proxy: local nodes have addresses of 127.0.0.0/8."""

MARK: Final = "DYNAMO_MULTINODE_AROUND_PROXY"
"""Variable with the name of the proxy variable, set if the shell itself did not exclude loopback."""

_PROXIES: Final = ("grpc_proxy", "https_proxy", "http_proxy", "all_proxy")
_EXCEPTIONS: Final = ("no_proxy", "NO_PROXY")

_MODULE: Final = "dynamo_multinode_loopback"
_START: Final = (
    "import sys; any(map('pulumi-language-python-exec'.__eq__, map(__import__('os').path.basename,"
    f" sys.orig_argv))) and __import__('{_MODULE}').begin()\n"
)
"""Code that every Python of the environment runs at start, from a `.pth` file; acts only in programs."""


def around_proxies(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that exclude loopback from proxies; empty if there is no proxy."""
    if not _leading(environ):
        return {}
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    exceptions = [entry.strip() for entry in no_proxy.split(",") if entry.strip()]
    extended = ",".join([*exceptions, *(address for address in ADDRESSES if address not in exceptions)])
    return {name: extended for name in _EXCEPTIONS if environ.get(name) != extended}


def begin(environ: MutableMapping[str, str] = os.environ) -> None:
    """Exclude loopback from the proxies of this process, and set the mark if the shell had not done it."""
    change = around_proxies(environ)
    if change and ADDRESSES[1] not in (environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        environ[MARK] = _leading(environ)
    environ.update(change)


def place(venv: Path) -> None:
    """Install this file into an environment, so that every program there starts with `begin`."""
    packages = next(venv.glob("lib/python3.*/site-packages"))
    for path, text in (
        (packages / f"{_MODULE}.py", Path(__file__).read_text(encoding="utf-8")),
        (packages / f"{_MODULE}.pth", _START),
    ):
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _leading(environ: Mapping[str, str]) -> str:
    """Return the first variable that names a proxy, or an empty text."""
    return next((name for name, value in environ.items() if value and name.lower() in _PROXIES), "")
