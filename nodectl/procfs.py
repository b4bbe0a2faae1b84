"""What /proc says about a process, for code that has nothing but the standard library."""

import contextlib
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENS: Final = "0A"
_WORD: Final = 8
"""Hexadecimal digits of a part of an address, whose bytes stand in the machine's order."""


class Process(NamedTuple):
    """A living process. `started`, in clock ticks since boot, and the pid name it for good."""

    pid: int
    group: int
    session: int
    started: int


class Listener(NamedTuple):
    """A TCP socket that accepts connections."""

    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    port: int
    inode: int


def process(pid: int) -> Process | None:
    """Return the process; None when it has ended, even if its parent has not collected it yet."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    fields = stat.rpartition(")")[2].split()  # proc(5): the state, field 3, and what follows
    if fields[0] == "Z":
        return None
    return Process(pid, group=int(fields[2]), session=int(fields[3]), started=int(fields[19]))


def processes() -> list[Process]:
    """Return every living process of the machine."""
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [found for pid in pids if (found := process(pid))]


def name(pid: int) -> str:
    """Return the short name of a process's program; nothing when it has ended."""
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except (FileNotFoundError, ProcessLookupError):
        return ""


def sockets(pid: int) -> set[int]:
    """Return the inodes of a process's sockets; none when it has ended or is somebody else's."""
    found = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                link = str(entry.readlink())
                if link.startswith("socket:["):
                    found.add(int(link[len("socket:[") : -1]))
    return found


def listeners() -> Iterator[Listener]:
    """Yield every listening TCP socket of the machine (proc(5), /proc/net/tcp)."""
    for table in _TABLES:
        lines: list[str] = []
        with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
            lines = Path(table).read_text(encoding="utf-8").splitlines()[1:]
        for fields in map(str.split, lines):
            address, _, port = fields[1].rpartition(":")
            if fields[3] == _LISTENS:
                yield Listener(_address(address), int(port, 16), int(fields[9]))


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    words = [text[start : start + _WORD] for start in range(0, len(text), _WORD)]
    address = ipaddress.ip_address(b"".join(bytes.fromhex(word)[::-1] for word in words))
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return mapped or address
