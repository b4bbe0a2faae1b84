"""The state of a host at a moment, to be compared with a later one."""

from collections.abc import Sequence

from tools.hostlab import disk
from tools.hostlab.host import Host

_WHERE = ("/etc", "/home", "/opt", "/root", "/srv", "/usr", "/var")
_PRUNED = ("/var/log", "/var/cache/dynamo-multinode", "/root/.cache", "/var/tmp", *map(str, disk.bindings()))
"""Paths that the docs list as kept, logs, and folders of this machine that hosts see."""

_PASSING = ("/etc/passwd-", "/etc/group-", "/etc/shadow-", "/etc/gshadow-", "/var/lib/systemd")
"""The shadow suite keeps copies of what it changed, and systemd random numbers and clocks."""


def picture(host: Host) -> set[str]:
    """Return a host's files, users, units, nft tables, and whose processes it runs."""

    def said(*command: str) -> str:
        return host.exec(command, check=True).stdout

    pruned = [word for path in _PRUNED for word in ("-path", path, "-prune", "-o")]
    files = lines(said("find", *_WHERE, "-xdev", *pruned, "-printf", "%p %M %u %l\n"), _PASSING)
    accounts = [f"{file}: {line}" for file in ("passwd", "group") for line in lines(said("getent", file))]
    units = lines(said("systemctl", "list-unit-files", "--no-legend"))
    loaded = lines(said("systemctl", "list-units", "--all", "--plain", "--no-legend", "dynamo*"))
    tables = lines(said("nft", "list", "tables"))
    return files | set(accounts) | units | loaded | tables | lines(said("ps", "-eo", "user="))


def lines(text: str, without: Sequence[str] = ()) -> set[str]:
    """Return the lines of a text, but for those that begin with one of `without`."""
    return {line for line in text.splitlines() if line and not line.startswith(tuple(without) or ("\0",))}
