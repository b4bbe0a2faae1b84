"""Keeps what the Pulumi engine and its programs say to each other, on loopback, away from proxies.

gRPC in Python sends even what is for this machine to the proxy of `http_proxy`, and a program then ends in a
trace before its first line. So the shell of `scripts/env` leaves loopback out, and for plain `pulumi` the
project environment does: a copy of this file among its packages is loaded before a program.
"""

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Final

ADDRESSES: Final = ("localhost", "127.0.0.1", "127.0.0.0/8", "::1")
"""What no proxy is asked for: local nodes are addresses of 127.0.0.0/8."""

MARK: Final = "DYNAMO_MULTINODE_AROUND_PROXY"
"""Names the variable that leads to a proxy, where the shell did not leave loopback out itself."""

_PROXIES: Final = ("grpc_proxy", "https_proxy", "http_proxy", "all_proxy")
_EXCEPTIONS: Final = ("no_proxy", "NO_PROXY")

_MODULE: Final = "dynamo_multinode_loopback"
_START: Final = (
    "import sys; any(map('pulumi-language-python-exec'.__eq__, map(__import__('os').path.basename,"
    f" sys.orig_argv))) and __import__('{_MODULE}').begin()\n"
)
"""What every Python of an environment runs as it starts, from a `.pth` file: nothing but for programs."""


def around_proxies(theirs: Mapping[str, str]) -> dict[str, str]:
    """Return what to set so that loopback is left out of proxies; nothing where there are none."""
    if not _leading(theirs):
        return {}
    given = theirs.get("no_proxy") or theirs.get("NO_PROXY") or ""
    listed = [part.strip() for part in given.split(",") if part.strip()]
    wanted = ",".join([*listed, *(address for address in ADDRESSES if address not in listed)])
    return {name: wanted for name in _EXCEPTIONS if theirs.get(name) != wanted}


def begin(environ: MutableMapping[str, str] = os.environ) -> None:
    """Leave loopback out of the proxies of this process, and mark that the shell had not."""
    change = around_proxies(environ)
    if change and ADDRESSES[1] not in (environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        environ[MARK] = _leading(environ)
    environ.update(change)


def place(venv: Path) -> None:
    """Have every program that runs in the environment begin so."""
    packages = next(venv.glob("lib/python3.*/site-packages"))
    for path, text in (
        (packages / f"{_MODULE}.py", Path(__file__).read_text(encoding="utf-8")),
        (packages / f"{_MODULE}.pth", _START),
    ):
        if not path.is_file() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")


def _leading(environ: Mapping[str, str]) -> str:
    """Return the first variable that leads to a proxy, or nothing."""
    return next((name for name, value in environ.items() if value and name.lower() in _PROXIES), "")
