"""Reader of /proc: processes, their sockets and files, listening ports, mounts, limits of the kernel."""

import contextlib
import ipaddress
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from nodectl.common.files import read_if_there

BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")
MOUNTS: Final = Path("/proc/self/mounts")

_OPEN_FILES: Final = Path("/proc/sys/fs/nr_open")
_TABLES: Final = ("/proc/net/tcp", "/proc/net/tcp6")
_LISTENS: Final = "0A"
_WORD: Final = 8
"""Hexadecimal digits of a part of an address, whose bytes stand in the machine's order."""


class Process(NamedTuple):
    """A living process. `started`, in clock ticks since boot, and the pid name it for good."""

    pid: int
    parent: int
    group: int
    session: int
    started: int


class Listener(NamedTuple):
    """A TCP socket that accepts connections."""

    address: ipaddress.IPv4Address | ipaddress.IPv6Address
    port: int
    inode: int


def boot_id() -> str:
    """Return what this boot of the machine is known by; each has another."""
    return BOOT_ID.read_text(encoding="ascii").strip()


def open_files_limit() -> int:
    """Return how many open files the kernel lets a process have. Raises OSError and ValueError."""
    return int(_OPEN_FILES.read_text(encoding="ascii"))


def mounted_devices(mounts: Path = MOUNTS) -> set[str]:
    """Return what is mounted in this process's namespace: devices by their paths, others by their names."""
    return {line.split()[0] for line in (read_if_there(mounts) or "").splitlines()}


def opened(descriptor: int) -> Path:
    """Return a short path by which this process reaches a folder that it has opened, wherever that is."""
    return Path(f"/proc/self/fd/{descriptor}")


def pids() -> Iterator[int]:
    """Yield the number of every process of the machine."""
    return (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit())


def content(pid: int, file: str) -> bytes:
    """Return a file of a process, such as `cmdline` or `maps`; nothing where it cannot be read."""
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}", file).read_bytes()
    return b""


def process(pid: int) -> Process | None:
    """Return the process; None when it has ended, even if its parent has not collected it yet."""
    fields = _text(pid, "stat").rpartition(")")[2].split()  # proc(5): the state, field 3, and what follows
    if not fields or fields[0] == "Z":
        return None
    return Process(
        pid, parent=int(fields[1]), group=int(fields[2]), session=int(fields[3]), started=int(fields[19])
    )


def processes() -> list[Process]:
    """Return every living process of the machine."""
    return [record for pid in pids() if (record := process(pid))]


def name(pid: int) -> str:
    """Return the short name of a process's program; nothing when it has ended."""
    return _text(pid, "comm").strip()


def variable(pid: int, name: str) -> str | None:
    """Return a variable of the environment that a process was started with.

    None without it, when the process has ended or is somebody else's.
    """
    text = ""
    with contextlib.suppress(PermissionError):
        text = _text(pid, "environ")
    entries = (entry.partition("=") for entry in text.split("\0"))
    return next((value for key, _, value in entries if key == name), None)


def control_groups(pid: int) -> list[str]:
    """Return the control groups of a process, one of each hierarchy (cgroups(7))."""
    return _text(pid, "cgroup").splitlines()


def sockets(pid: int) -> set[int]:
    """Return the inodes of a process's sockets; none when it has ended or is somebody else's."""
    inodes = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError, PermissionError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with contextlib.suppress(FileNotFoundError):  # closed meanwhile
                link = str(entry.readlink())
                if link.startswith("socket:["):
                    inodes.add(int(link[len("socket:[") : -1]))
    return inodes


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


def _text(pid: int, file: str) -> str:
    """Return a file of a process; nothing when it has ended, which no other error is taken for."""
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        return Path(f"/proc/{pid}", file).read_text(encoding="utf-8", errors="replace")
    return ""


def _address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    words = [text[start : start + _WORD] for start in range(0, len(text), _WORD)]
    address = ipaddress.ip_address(b"".join(bytes.fromhex(word)[::-1] for word in words))
    ipv4 = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return ipv4 or address
