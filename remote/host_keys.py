"""The keys by which hosts show who they are: given in the stack file, or recorded at the first connection."""

import subprocess
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from remote.errors import RemoteError
from remote.host import Host
from remote.run import greet

_AT_ONCE: Final = 32


class UnknownHostKeysError(RuntimeError):
    """Hosts whose keys could not be learnt; one line for each."""


def key(host: Host) -> str | None:
    """Return the host's key, as type and key, or None while it is not known."""
    if host.host_key:
        return host.host_key
    if host.known_hosts is None or not host.known_hosts.is_file():
        return None
    find = ["ssh-keygen", "-f", str(host.known_hosts), "-F", host.known_name]
    output_lines = subprocess.run(find, capture_output=True, text=True, check=False).stdout.splitlines()
    lines = [line.split(" ", 1)[1].strip() for line in output_lines if line and not line.startswith("#")]
    return " ".join(sorted(lines)) or None


def record(hosts: Iterable[Host]) -> None:
    """Connect to each host whose key is not known yet, side by side, which records it.

    Raises UnknownHostKeysError with everything that stands in the way.
    """
    unknown_hosts = [host for host in hosts if key(host) is None]
    if not unknown_hosts:
        return
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        problems = [problem for problem in pool.map(_greeted, unknown_hosts) if problem]
    if problems:
        raise UnknownHostKeysError("\n".join(problems))


def _greeted(host: Host) -> str:
    try:
        greet(host)
    except RemoteError as error:
        return str(error)
    return ""
